/** Faults of other pod networks, made here on purpose: what would have to notice them does. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { test } from 'node:test';
import { namespacePath } from '../../lab/namespaces.ts';
import { addPod } from '../../lab/pods.ts';
import { FAIRLEAD } from '../../lab/processes.ts';
import { type LabPod, nodePaths, readPods } from '../../lab/state.ts';
import type { LabNode } from '../../lab/topology.ts';
import { openConntrack } from '../../src/edge/conntrack/conntrack.ts';
import { NetworkNamespace } from '../../src/edge/netlink/namespace.ts';
import { reach } from '../agent/reach.ts';
import { until } from '../until.ts';
import { faultsOf, startLab } from './fixture.ts';
import { configure, inNode } from './node.ts';

/** Without it the kernel does not let packets with a wrong checksum be sent between namespaces. */
const ETHTOOL = hasEthtool() ? {} : { skip: 'this machine has no ethtool' };

function hasEthtool(): boolean {
  try {
    execFileSync('ethtool', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

test(
  'an interface that gives tunnelled packets wrong checksums: the doctor says so and names the cure',
  ETHTOOL,
  async () => {
    const plan = await startLab({ nodes: 2, pods: 1, backend: 'vxlan' });
    const [node, ill] = plan.nodes as [LabNode, LabNode];
    const [from, to] = readPods(plan.options.name) as [LabPod, LabPod];
    const meets = async (protocol: 'tcp' | 'udp') =>
      (await reach(from.namespace, protocol, to.ips![0]!, 8080)) !== undefined;
    const doctor = async () => {
      const { configuration } = nodePaths(plan.options.name, node.name);
      return inNode(node, 'sh', '-c', '"$0" doctor --config "$1" || true', FAIRLEAD, configuration);
    };
    assert.match(await doctor(), /path to node-2 .*bytes pass/);
    // Computed in software, and then made wrong on the way: as an interface does it that computes them itself, wrongly.
    await inNode(node, 'ethtool', '-K', 'eth0', 'tx', 'off');
    // Behind the outer UDP header and VXLAN's: Ethernet, IPv4 with its protocol at 39, TCP's checksum at 66, UDP's at 56.
    const wrong = ['tcp @th,312,8 6 @th,528,16', 'udp @th,312,8 17 @th,448,16'].map(
      (what) => `add rule netdev ill in udp dport 8472 ${what.slice(4)} set 0xdead`,
    );
    const rules = [
      'add table netdev ill',
      'add chain netdev ill in { type filter hook ingress device "eth0" priority 0; }',
      ...wrong,
    ];
    await inNode(ill, 'nft', rules.join('; '));
    assert.match(
      await doctor(),
      /path to node-2 .*datagrams do not: their checksums may be wrong[^]*ethtool -K/,
    );
    assert.deepEqual([await meets('tcp'), await meets('udp')], [false, false]);
    await inNode(ill, 'nft', 'delete table netdev ill');
    assert.deepEqual([await meets('tcp'), await meets('udp')], [true, true]);
  },
);

test('a source that is hidden inside the cluster is seen by lab verify; masquerading follows the configuration', async () => {
  const plan = await startLab({ nodes: 2, pods: 1, backend: 'vxlan' });
  const node = plan.nodes[0]!;
  const table = () => inNode(node, 'nft', 'list', 'ruleset');
  assert.match(await table(), /masquerade/);
  const hide = [
    'add table ip hide',
    'add chain ip hide out { type nat hook postrouting priority 99; }',
    'add rule ip hide out ip saddr 10.244.0.0/16 masquerade',
  ];
  await inNode(node, 'nft', hide.join('; '));
  await until('every proof about sources fails', async () => {
    const faults = (await faultsOf(plan)).join('\n');
    return (
      /2: tcp pod-1 → pod-2.*not 10\.244\.0\.2/.test(faults) &&
      /4: tcp pod-1 → node-2.*not 10\.244\.0\.2/.test(faults)
    );
  });
  await inNode(node, 'nft', 'delete table ip hide');
  await until('nothing is wrong', async () => (await faultsOf(plan)).length === 0);
  configure(plan, node, (text) => `${text}masquerade: { enabled: false }\n`);
  await until('no masquerade is left', async () => !/masquerade/.test(await table()));
  const faults = (await faultsOf(plan)).join('\n');
  assert.match(faults, /^6: /m, 'nobody outside knows the way to a pod');
  assert.doesNotMatch(faults, /^[1-5]: /m);
});

/** Asks twice from one port at once, as resolvers do for A and AAAA; many times, each from a port of its own. */
const RESOLVER = `
  const [address, rounds] = [process.argv[1], Number(process.argv[2])];
  const { createSocket } = require('node:dgram');
  let done = 0, answers = 0;
  const ask = (left) => {
    if (left === 0) { if (++done === 8) { console.log(answers); process.exit(); } return; }
    const socket = createSocket('udp4');
    let got = 0;
    const end = () => { clearTimeout(timer); socket.close(); ask(left - 1); };
    const timer = setTimeout(end, 3000);
    socket.on('message', () => { answers++; if (++got === 2) end(); });
    socket.on('error', end);
    socket.bind(0, () => { socket.send('{"id":1}', 8080, address); socket.send('{"id":2}', 8080, address); });
  };
  for (let i = 0; i < 8; i++) ask(rounds);
`;

function resolve(pod: LabPod, address: string, rounds: number): Promise<number> {
  return new Promise((done, fail) => {
    const command = [`--net=${namespacePath(pod.namespace)}`, '--', process.execPath, '-e', RESOLVER];
    const child = spawn('nsenter', [...command, address, String(rounds)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    child.on('error', fail);
    child.on('close', () => done(Number(text)));
  });
}

test('two lookups at once from one port, many times: each is answered, to the outside and inside, and inside none is tracked', async () => {
  const plan = await startLab({ nodes: 2, pods: 1 });
  const node = plan.nodes[0]!;
  const other = await addPod(plan, 'resolver', node.name);
  const [own, far] = readPods(plan.options.name) as [LabPod, LabPod];
  const lost = async () => {
    // All columns are hexadecimal, a line for each processor (net/netfilter/nf_conntrack_standalone.c).
    const [head = '', ...lines] = (await inNode(node, 'cat', '/proc/net/stat/nf_conntrack'))
      .trim()
      .split('\n');
    const column = head.trim().split(/\s+/).indexOf('insert_failed');
    return lines.reduce((sum, line) => sum + Number.parseInt(line.trim().split(/\s+/)[column]!, 16), 0);
  };
  const before = await lost();
  const rounds = 40;
  const all = 8 * rounds * 2;
  // Two pods at once towards one server outside: their ports are translated, and do not collide.
  const outside = await Promise.all([own, other].map((pod) => resolve(pod, plan.world.address, rounds)));
  assert.deepEqual(outside, [all, all]);
  assert.equal(await lost(), before, 'no packet was lost in a race for a translated port');
  assert.equal(await resolve(own, far.ips![0]!, rounds), all);
  using inside = NetworkNamespace.open(namespacePath(node.namespace));
  using conntrack = openConntrack(inside);
  const connections = (await Array.fromAsync(conntrack.walk())).flat();
  assert.ok(
    connections.some(
      ({ source, destination }) => source === own.ips![0] && destination === plan.world.address,
    ),
  );
  assert.ok(
    !connections.some(({ source, destination }) => source === own.ips![0] && destination === far.ips![0]),
  );
});
