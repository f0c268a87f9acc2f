/** `fairlead doctor`: nothing on a healthy node, and each illness by its name, with the cure. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { namespacePath, run } from '../../lab/namespaces.ts';
import { agentProcesses, FAIRLEAD } from '../../lab/processes.ts';
import { nodePaths } from '../../lab/state.ts';
import type { LabNode } from '../../lab/topology.ts';
import type { Finding } from '../../src/tools/doctor/finding.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { startLab } from '../lab/fixture.ts';
import { until } from '../until.ts';

const plan = await startLab({ nodes: 3, subnets: 2, pods: 0, family: 'dual' });
const [node, distant, near] = plan.nodes as [LabNode, LabNode, LabNode];
const paths = nodePaths(plan.options.name, node.name);

function on(host: { namespace: string }, ...command: string[]): Promise<string> {
  return run('nsenter', [`--net=${namespacePath(host.namespace)}`, '--', ...command]);
}

async function findings(...more: string[]): Promise<Finding[]> {
  const script = '"$0" "$@" || true';
  const args = ['doctor', '--config', paths.configuration, '-o', 'json', ...more];
  return JSON.parse(await on(node, 'sh', '-c', script, FAIRLEAD, ...args)) as Finding[];
}

async function illnesses(...more: string[]): Promise<string[]> {
  return (await findings(...more))
    .filter(({ verdict }) => verdict !== 'fine')
    .map(({ what, seen, cure }) => `${what}: ${seen} → ${cure}`);
}

/** Makes the node ill, asks the doctor, and cures it. The agent sleeps meanwhile, or it would cure it by itself. */
async function ill(make: string[], cure: string[], host: { namespace: string } = node): Promise<string> {
  const agents = agentProcesses(host.namespace);
  await on(host, ...make);
  try {
    return (await illnesses()).join('\n');
  } finally {
    await on(host, ...cure);
    assert.deepEqual(agentProcesses(host.namespace), agents);
  }
}

test('a healthy node: every peer of both families is reached with packets of full size', async () => {
  const all = await findings();
  assert.deepEqual(
    all.filter(({ verdict }) => verdict !== 'fine'),
    [],
  );
  const seen = all.filter(({ what }) => what.startsWith('path to ')).map(({ seen: text }) => text);
  assert.equal(seen.length, 4);
  assert.equal(seen.filter((text) => /through the VXLAN tunnel to .*, 1430 bytes pass/.test(text)).length, 2);
});

test('a tunnel that somebody drops', async () => {
  const rule =
    'add table inet x; add chain inet x in { type filter hook input priority 0; }; add rule inet x in udp dport 8472 drop';
  const text = await ill(['nft', rule], ['nft', 'delete table inet x'], distant);
  assert.match(
    text,
    /path to node-2 .*no answer through the VXLAN tunnel to .* → let UDP to vxlan\.port pass/,
  );
  assert.doesNotMatch(text, /node-3/);
});

test('datagrams that do not arrive where echoes do', async () => {
  const rule =
    'add table inet x; add chain inet x in { type filter hook input priority 0; }; add rule inet x in udp dport 9 drop';
  const text = await ill(['nft', rule], ['nft', 'delete table inet x'], near);
  assert.match(text, /path to node-3 .*datagrams do not: their checksums may be wrong.* → .*ethtool -K/);
});

/** What rejects packets of pods, how it is taken away, and by what name it must be called. */
const REJECTING: [string, string[], string[], RegExp][] = [
  [
    'a policy of a forward chain',
    [
      'nft',
      'add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }',
    ],
    ['nft', 'delete table ip filter'],
    /forwarded packets: the policy drop of chain FORWARD in table ip filter rejects what pods send: ICMP, UDP and TCP to a pod of this node .*, node-2 .*, node-3 .* and the outside by way of \S+ → accept the pod network in chain FORWARD/,
  ],
  [
    'a last rule of iptables',
    ['iptables-nft', '-A', 'FORWARD', '-j', 'REJECT', '--reject-with', 'icmp-host-prohibited'],
    ['nft', 'delete table ip filter'],
    /the rule “reject with icmp type host-prohibited” \(handle \d+\) of chain FORWARD in table ip filter rejects/,
  ],
  [
    'firewalld',
    [
      'nft',
      'add table inet firewalld; add chain inet firewalld filter_FORWARD { type filter hook forward priority 10; }; add chain inet firewalld rest; ' +
        'add rule inet firewalld filter_FORWARD ct state established,related accept; add rule inet firewalld filter_FORWARD jump rest; ' +
        'add rule inet firewalld rest reject with icmpx admin-prohibited',
    ],
    ['nft', 'delete table inet firewalld'],
    /the rule “reject with icmpx admin-prohibited” \(handle \d+\) of chain rest in table inet firewalld rejects .* → tell firewalld/,
  ],
  [
    'a rule on the source of pods, before routing',
    [
      'nft',
      'add table inet x; add chain inet x early { type filter hook prerouting priority -310; }; add rule inet x early ip saddr 10.244.0.0/24 counter drop',
    ],
    ['nft', 'delete table inet x'],
    /the rule “ip saddr 10\.244\.0\.0\/24 drop” \(handle \d+\) of chain early in table inet x rejects/,
  ],
  [
    'a rule for one protocol',
    [
      'nft',
      'add table inet x; add chain inet x f { type filter hook forward priority 5; }; add rule inet x f meta l4proto tcp drop',
    ],
    ['nft', 'delete table inet x'],
    /“meta l4proto tcp drop” \(handle \d+\) of chain f in table inet x rejects what pods send: TCP to a pod of this node \(IPv4\), a pod/,
  ],
  [
    'legacy iptables',
    ['iptables-legacy', '-A', 'FORWARD', '-j', 'DROP'],
    ['iptables-legacy', '-F'],
    /is dropped by chain FORWARD of table ip filter of legacy iptables \(-A FORWARD -j DROP\)/,
  ],
  [
    'a rule for routing',
    ['ip', 'rule', 'add', 'from', '10.244.0.0/24', 'lookup', '77', 'priority', '77'],
    ['ip', 'rule', 'del', 'priority', '77'],
    /finds no way .* others have rules for routing: rule 77 “from 10\.244\.0\.0\/24 lookup 77”/,
  ],
  [
    'a rule that looks up no table',
    ['ip', 'rule', 'add', 'from', '10.244.0.0/24', 'priority', '78', 'blackhole'],
    ['ip', 'rule', 'del', 'priority', '78'],
    /finds no way .*rule 78 “from 10\.244\.0\.0\/24 blackhole”/,
  ],
  [
    'answers that are not forwarded',
    ['sysctl', '-qw', 'net.ipv4.conf.eth0.forwarding=0'],
    ['sysctl', '-qw', 'net.ipv4.conf.eth0.forwarding=1'],
    /answers of node-3 .* come to this node, and it does not forward them to pods/,
  ],
];

/** Those of them that let nothing pass, which the agent sees in the ruleset. */
const ALL_REFUSING = new Set(['a policy of a forward chain', 'a last rule of iptables', 'firewalld']);
const SPOOFED =
  /^spoofed packets: dropped \d+ of pods with an address that they do not have → find who sends them, or which rule for routing/;
const IN_STATUS = /the agent says: chain \S+ of table .* refuses all packets that are forwarded/;

test('what rejects packets of pods is named, whatever it is', async () => {
  // Table 77 leads nowhere.
  await on(node, 'ip', 'route', 'add', 'prohibit', 'default', 'table', '77');
  for (const [what, make, cure, expected] of REJECTING) {
    const said = await ill(make, cure);
    assert.match(said, expected, what);
    assert.equal(IN_STATUS.test(said), ALL_REFUSING.has(what), `${what}: ${said}`);
  }
  await on(node, 'ip', 'route', 'flush', 'table', '77');
  // Where a rule of another leads the addresses of pods elsewhere, the guard takes what they send for spoofed, and the count stays.
  assert.deepEqual(
    (await illnesses()).filter((text) => !SPOOFED.test(text)),
    [],
  );
  const left = await on(node, 'nft', 'list', 'tables');
  assert.doesNotMatch(left, /fairlead-doctor/);
  assert.equal((await askStatus(paths.apiSocket)).attachments.length, 0, 'the stand-ins are gone');
});

test('a firewall that refuses by default and lets pods pass is no fault', async () => {
  const rule =
    'add table inet x; add chain inet x f { type filter hook forward priority 0; policy drop; }; add rule inet x f accept';
  await on(node, 'nft', rule);
  const all = await findings();
  await on(node, 'nft', 'delete table inet x');
  assert.deepEqual(
    all.filter(({ verdict, what }) => verdict !== 'fine' && what !== 'spoofed packets'),
    [],
  );
  assert.match(
    all.map(({ seen }) => seen).join('\n'),
    /chain f of table inet x \(policy drop\) .* packets of pods passed it/,
  );
});

test('ICMP that is filtered on the way is told from a path that is lost', async () => {
  const rule =
    'add table inet x; add chain inet x in { type filter hook prerouting priority 0; }; add rule inet x in ip protocol icmp icmp type echo-request drop';
  const text = await ill(['nft', rule], ['nft', 'delete table inet x'], near);
  assert.match(text, /forwarded packets: ICMP to node-3 .* is filtered on the way; the path is not lost/);
});

test('a doctor that is killed leaves nothing', async () => {
  const rule = 'add table inet x; add chain inet x f { type filter hook forward priority 0; policy drop; }';
  await on(node, 'nft', rule);
  const child = spawn(
    'nsenter',
    [`--net=${namespacePath(node.namespace)}`, '--', FAIRLEAD, 'doctor', '--config', paths.configuration],
    { stdio: 'ignore', detached: true },
  );
  const attachments = async () => (await askStatus(paths.apiSocket)).attachments.length;
  await until('it traces', async () => (await on(node, 'nft', 'list', 'tables')).includes('fairlead-doctor'));
  assert.equal(await attachments(), 2);
  // The leader of its group alone.
  child.kill('SIGKILL');
  await until('its pods are gone', async () => (await attachments()) === 0);
  await until(
    'its table is gone',
    async () => !(await on(node, 'nft', 'list', 'tables')).includes('fairlead-doctor'),
  );
  await on(node, 'nft', 'delete table inet x');
});

test('it says where it ran', async () => {
  const [here] = await findings();
  assert.match(
    `${here?.what}: ${here?.seen}`,
    /^here: node node-1, network namespace net:\[\d+\], (on the host|in a container), where the agent is$/,
  );
});

test('a route into the pod network', async () => {
  const route = await ill(
    ['ip', 'route', 'add', '10.244.128.0/17', 'via', '192.168.1.1'],
    ['ip', 'route', 'del', '10.244.128.0/17'],
  );
  assert.match(route, /a route to 10\.244\.128\.0\/17 \(via 192\.168\.1\.1\) overlaps the pod network/);
});

// Behind those for which all must be well: what nodes learned of the path stays for minutes.
test('a network between that does not carry packets of full size', async () => {
  const text = await ill(
    ['ip', 'link', 'set', 'subnet2', 'mtu', '1300'],
    ['ip', 'link', 'set', 'subnet2', 'mtu', '1500'],
    plan.underlay,
  );
  assert.match(
    text,
    /path to node-2 .*packets of 1430 bytes do not arrive.* → give the network between the nodes one MTU/,
  );
});

test("the container runtime's folders", async () => {
  const [plugins, networks] = [join(paths.directory, 'plugins'), join(paths.directory, 'networks')];
  const look = async () => (await illnesses('--plugins', plugins, '--networks', networks)).join('\n');
  assert.match(await look(), /there is no folder .*networks/);
  mkdirSync(plugins);
  mkdirSync(networks);
  assert.match(await look(), /fairlead-cni is missing.*none of nothing/s);
  writeFileSync(join(plugins, 'fairlead-cni'), '');
  writeFileSync(join(networks, '10-fairlead.conflist'), '{"plugins":[{"type":"fairlead-cni"}]}');
  writeFileSync(join(networks, '05-other.conflist'), '{}');
  assert.match(await look(), /first list by name, which is 05-other\.conflist, not 10-fairlead\.conflist/);
});
