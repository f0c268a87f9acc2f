/** `fairlead doctor`: nothing on a healthy node, and each illness by its name, with the cure. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { namespacePath, run } from '../../lab/namespaces.ts';
import { agentProcesses, FAIRLEAD } from '../../lab/processes.ts';
import { nodePaths } from '../../lab/state.ts';
import type { LabNode } from '../../lab/topology.ts';
import type { Finding } from '../../src/tools/doctor/finding.ts';
import { startLab } from '../lab/fixture.ts';

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

test('datagrams that do not arrive where echoes do', async () => {
  const rule =
    'add table inet x; add chain inet x in { type filter hook input priority 0; }; add rule inet x in udp dport 9 drop';
  const text = await ill(['nft', rule], ['nft', 'delete table inet x'], near);
  assert.match(text, /path to node-3 .*datagrams do not: their checksums may be wrong.* → .*ethtool -K/);
});

test('a foreign firewall that drops, and a route into the pod network', async () => {
  const rule =
    'add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }';
  const firewall = await ill(['nft', rule], ['nft', 'delete table ip filter']);
  assert.match(
    firewall,
    /chain FORWARD of table ip filter drops forwarded packets.* → accept the pod network/,
  );
  const route = await ill(
    ['ip', 'route', 'add', '10.244.128.0/17', 'via', '192.168.1.1'],
    ['ip', 'route', 'del', '10.244.128.0/17'],
  );
  assert.match(route, /a route to 10\.244\.128\.0\/17 \(via 192\.168\.1\.1\) overlaps the pod network/);
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
