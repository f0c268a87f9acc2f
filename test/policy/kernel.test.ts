/** Random policies on real packets: nftables, the evaluator and the naive reading of the documentation say the same. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { openConntrack } from '../../src/conntrack/conntrack.ts';
import { namespacePath, run } from '../../src/lab/namespaces.ts';
import { PROBE } from '../../src/lab/processes.ts';
import { nodePaths, readPods } from '../../src/lab/state.ts';
import type { ProbeOutcome } from '../../src/lab/verify/ask.ts';
import { NetworkNamespace } from '../../src/netlink/namespace.ts';
import { openNftables } from '../../src/nftables/nft.ts';
import { compile } from '../../src/policy/compile.ts';
import { renderTable } from '../../src/policy/render.ts';
import { startLab } from '../lab/fixture.ts';
import { until } from '../until.ts';
import { type OracleWorld, oracleAllows } from './oracle.ts';
import { inputOf, PORTS, worlds } from './worlds.ts';

const CASES = Number(process.env['FAIRLEAD_POLICY_KERNEL_CASES'] ?? 12);
const SEED = process.env['FAIRLEAD_POLICY_SEED'];
const PODS = 6;
/** What is forbidden is silence: this long nobody answered. */
const SILENCE_MS = 250;

const plan = await startLab({ nodes: 1, pods: PODS, family: 'dual' });
const node = plan.nodes[0]!;
const namespace = NetworkNamespace.open(namespacePath(node.namespace));
after(() => namespace[Symbol.dispose]());
const nftables = openNftables(namespace);
const conntrack = openConntrack(namespace);
const spaces = readPods(plan.options.name).map((pod) => pod.namespace);
appendFileSync(nodePaths(plan.options.name, node.name).configuration, 'conntrack: always\n');
await until('connections between pods are tracked', async () => {
  const table = await run('nsenter', [
    `--net=${namespacePath(node.namespace)}`,
    'nft',
    'list',
    'table',
    'inet',
    'fairlead',
  ]);
  return !/between pods/.test(table);
});

// A refused datagram is told by ICMP, which hosts otherwise send once a second.
for (const space of spaces) {
  const unlimited = [
    'net.ipv4.icmp_ratelimit=0',
    'net.ipv4.icmp_msgs_per_sec=1000000',
    'net.ipv4.icmp_msgs_burst=1000000',
    'net.ipv6.icmp.ratelimit=0',
  ];
  for (const setting of unlimited)
    await run('nsenter', [`--net=${namespacePath(space)}`, 'sysctl', '-qw', setting]).catch(() => '');
}

type Flow = { source: string; destination: string; protocol: 'TCP' | 'UDP' | 'ICMP'; port: number };

/** An answer or a refusal came back, so the packet was let through. */
async function passes(world: OracleWorld, flows: readonly Flow[]): Promise<boolean[]> {
  const passed = flows.map(() => false);
  const bySource = Map.groupBy(flows.keys(), (index) => flows[index]!.source);
  await Promise.all(
    [...bySource].map(async ([source, indexes]) => {
      const space = spaces[world.pods.findIndex(({ ips }) => ips.includes(source))]!;
      const lines = indexes.map((index) => {
        const { protocol, destination, port } = flows[index]!;
        return `${index} ${protocol.toLowerCase()} ${destination} ${port} 32 nodf ${protocol === 'UDP' ? 3 * SILENCE_MS : SILENCE_MS}`;
      });
      // Who was connected to and says nothing was reached all the same.
      for (const { id, ok, error } of await probe(space, lines))
        passed[Number(id)] =
          ok ||
          /refused/i.test(error ?? '') ||
          (flows[Number(id)]!.protocol === 'TCP' && (error ?? '').startsWith('answer'));
    }),
  );
  return passed;
}

function probe(space: string, lines: readonly string[]): Promise<ProbeOutcome[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(PROBE, ['client', '--netns', namespacePath(space)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    child.stdin.end(`${lines.join('\n')}\n`);
    child.on('error', reject);
    child.on('close', () =>
      resolve(
        text
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line) as ProbeOutcome),
      ),
    );
  });
}

function forgetAll(): Promise<void> {
  const filters = ([4, 6] as const).flatMap((family) =>
    (['tcp', 'udp'] as const).map((protocol) => ({ family, protocol, original: {} })),
  );
  return conntrack.forget(filters);
}

function flowsOf({ pods }: OracleWorld): Flow[] {
  return pods.flatMap((from) =>
    pods
      .filter((to) => to !== from)
      .flatMap((to) =>
        from.ips.flatMap((source, family) =>
          (['TCP', 'UDP', 'ICMP'] as const).flatMap((protocol) =>
            (protocol === 'ICMP' ? [0] : PORTS).map((port) => ({
              source,
              destination: to.ips[family]!,
              protocol,
              port,
            })),
          ),
        ),
      ),
  );
}

test(`${CASES} random clusters on real packets`, async () => {
  await fc.assert(
    fc.asyncProperty(worlds(PODS), async (world) => {
      await nftables.replace(renderTable(compile(inputOf(world))));
      // A port that is used again would belong to a connection that another world allowed.
      await forgetAll();
      const flows = flowsOf(world);
      const passed = await passes(world, flows);
      const wrong = flows.flatMap((flow, index) => {
        const wanted = oracleAllows(world, flow.source, flow.destination, flow.protocol, flow.port);
        return passed[index] === wanted
          ? []
          : [`${JSON.stringify(flow)}: passed ${passed[index]}, wanted ${wanted}`];
      });
      assert.deepEqual(wrong.slice(0, 5), []);
    }),
    { numRuns: CASES, endOnFailure: true, ...(SEED === undefined ? {} : { seed: Number(SEED) }) },
  );
});
