/** Agents probe their peers: a path that is cut and healed, on real packets, in metrics and status. */
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { namespacePath, run } from '../../lab/namespaces.ts';
import { agentProcesses } from '../../lab/processes.ts';
import { nodePaths } from '../../lab/state.ts';
import type { LabNode } from '../../lab/topology.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { fairlead, startLab } from '../lab/fixture.ts';
import { until } from '../until.ts';
import { scrape, valueOf as valueAt } from './scrape.ts';

const plan = await startLab({ nodes: 3, subnets: 2, pods: 0, family: 'dual' });
const [node, distant, near] = plan.nodes as [LabNode, LabNode, LabNode];
const paths = nodePaths(plan.options.name, node.name);
for (const { name } of plan.nodes)
  appendFileSync(nodePaths(plan.options.name, name).configuration, 'probes: { intervalSeconds: 1 }\n');

const on = (host: LabNode, ...command: string[]) =>
  run('nsenter', [`--net=${namespacePath(host.namespace)}`, '--', ...command]);
const valueOf = (series: string) => valueAt(paths.apiSocket, series);
const problems = async () => (await askStatus(paths.apiSocket)).problems;
const probesOf = async (peer: string, family: number) =>
  (await askStatus(paths.apiSocket)).peers
    .find(({ name }) => name === peer)!
    .paths.find((one) => one.family === family)!.probes;

/** Drops what the host gets from the node until it is called again. */
async function cut(host: LabNode, match: string): Promise<() => Promise<string>> {
  await on(
    host,
    'nft',
    `add table inet cut; add chain inet cut in { type filter hook input priority -300; }; add rule inet cut in ${match} drop`,
  );
  return () => on(host, 'nft', 'delete table inet cut');
}

test('every peer answers, in both families, on either kind of path', async () => {
  await until('all have answered', async () => {
    const { peers } = await askStatus(paths.apiSocket);
    return peers.flatMap((peer) => peer.paths).every(({ probes }) => probes?.rttSeconds !== undefined);
  });
  const { stdout } = await fairlead('status', '--socket', paths.apiSocket);
  assert.match(stdout, /^node-2 .* VXLAN to 192\.168\.2\.2 +\d+\.\d\d ms at \d\d:\d\d:\d\d$/m);
  assert.match(stdout, /^node-3 .* direct via 192\.168\.1\.3 +\d+\.\d\d ms at \d\d:\d\d:\d\d$/m);
  for (const mode of ['direct', 'vxlan'])
    assert.ok((await valueOf(`fairlead_peer_probe_rtt_seconds_count{mode="${mode}"}`)) >= 2);
  const series = ['node-2', 'node-3'].flatMap((peer) =>
    [4, 6].map((family) => `{peer="${peer}",family="${family}"}`),
  );
  const counted = (word: string) =>
    Promise.all(series.map((labels) => valueOf(`fairlead_peer_probe_${word}_total${labels}`)));
  // The first probes may be sent before the peer's agent has made its end of the path: none is lost from here on.
  const [lost, sent] = [await counted('lost'), await counted('sent')];
  await until('each was probed twice more', async () =>
    (await counted('sent')).every((count, index) => count >= sent[index]! + 2),
  );
  assert.deepEqual(await counted('lost'), lost);
  for (const labels of series)
    assert.ok((await valueOf(`fairlead_peer_probe_last_rtt_seconds${labels}`)) > 0);
  assert.equal(await valueOf('fairlead_peers_unreachable'), 0);
});

test('a direct path that is cut in one family is named, with when and how; and is healed', async () => {
  const heal = await cut(near, 'icmp type echo-request');
  try {
    await until('it is a problem', async () => (await problems()).length > 0);
    const [problem, ...others] = await problems();
    assert.match(
      problem!,
      /^node node-3 \(IPv4, direct\) does not answer through the route via 192\.168\.1\.3 since \d{4}-\S+Z; look whether the agent of node-3 runs/,
    );
    assert.deepEqual(others, []);
    const silent = await probesOf('node-3', 4);
    assert.equal(silent!.answers, false);
    assert.ok(silent!.silentSince! >= silent!.answeredAt!);
    assert.equal((await probesOf('node-3', 6))!.answers, true);
    assert.equal(await valueOf('fairlead_peers_unreachable'), 1);
    assert.ok((await valueOf('fairlead_peer_probe_lost_total{peer="node-3",family="4"}')) >= 3);
    const { stdout, status } = await fairlead('status', '--socket', paths.apiSocket);
    assert.equal(status, 1);
    // Who does not answer comes first.
    assert.match(stdout, /PEER .*ANSWER\nnode-3 .* none since \S+Z$/m);
  } finally {
    await heal();
  }
  await until('it answers again', async () => (await problems()).length === 0);
  assert.equal((await probesOf('node-3', 4))!.answers, true);
  assert.equal(await valueOf('fairlead_peers_unreachable'), 0);
});

test('a tunnel that is cut: both families, and the other node knows it too', async () => {
  const heal = await cut(distant, 'udp dport 8472');
  try {
    await until('both are problems', async () => (await problems()).length === 2);
    for (const problem of await problems())
      assert.match(
        problem,
        /^node node-2 \(IPv[46], vxlan\) does not answer through the VXLAN tunnel to \S+ since \S+Z; let UDP to vxlan\.port pass/,
      );
    const there = nodePaths(plan.options.name, distant.name).apiSocket;
    await until('there all are', async () =>
      (await askStatus(there)).problems.some((text) =>
        text.startsWith('none of the 4 paths to other nodes answers'),
      ),
    );
  } finally {
    await heal();
  }
  await until('all answer again', async () => (await problems()).length === 0);
});

test('an agent that is killed is no broken path: its kernel answers', async () => {
  const [lost, sent] = ['lost', 'sent'].map(
    (word) => `fairlead_peer_probe_${word}_total{peer="node-3",family="4"}`,
  );
  const before = await Promise.all([valueOf(lost!), valueOf(sent!)]);
  for (const pid of agentProcesses(near.namespace)) process.kill(pid, 'SIGKILL');
  await until('it was probed five times', async () => (await valueOf(sent!)) >= before[1] + 5);
  assert.equal(await valueOf(lost!), before[0]);
});

test('no probes where they are switched off, and none are missed', async () => {
  const text = readFileSync(paths.configuration, 'utf8');
  writeFileSync(paths.configuration, text.replace('intervalSeconds: 1', 'intervalSeconds: 0'));
  await until('there are none', async () => (await probesOf('node-3', 4)) === undefined);
  assert.doesNotMatch((await scrape(paths.apiSocket, '/metrics')).body, /^fairlead_peer_probe_sent_total\{/m);
  assert.deepEqual(await problems(), []);
  writeFileSync(paths.configuration, text);
  await until('there are again', async () => (await probesOf('node-3', 4))?.answers === true);
});
