/** Random policies on real packets: nftables, the evaluator and the naive reading of the documentation say the same. */
import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { openConntrack } from '../../src/conntrack/conntrack.ts';
import { parseIp } from '../../src/ip/ip.ts';
import { namespacePath, run } from '../../src/lab/namespaces.ts';
import { probe, type Target, wasLetThrough } from '../../src/lab/prober.ts';
import { nodePaths, readPods } from '../../src/lab/state.ts';
import { NetworkNamespace } from '../../src/netlink/namespace.ts';
import { openNftables } from '../../src/nftables/nft.ts';
import { compile } from '../../src/policy/compile.ts';
import { evaluate } from '../../src/policy/evaluate.ts';
import { renderTable } from '../../src/policy/render.ts';
import { startLab } from '../lab/fixture.ts';
import { until } from '../until.ts';
import { type OracleWorld, oracleAllows } from './oracle.ts';
import { inputOf, PORTS, worlds } from './worlds.ts';

const CASES = Number(process.env['FAIRLEAD_POLICY_KERNEL_CASES'] ?? 60);
const SEED = process.env['FAIRLEAD_POLICY_SEED'];
const PODS = 6;
/** What is forbidden is silence: this long nobody answered. */
const SILENCE_MS = 250;
const PATIENCE_MS = 3000;

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

type Flow = { source: string; destination: string; protocol: 'TCP' | 'UDP' | 'SCTP' | 'ICMP'; port: number };

/** An answer or a refusal came back, so the packet was let through. */
async function passes(world: OracleWorld, flows: readonly Flow[], timeoutMs: number): Promise<boolean[]> {
  const passed = flows.map(() => false);
  const bySource = Map.groupBy(flows.keys(), (index) => flows[index]!.source);
  await Promise.all(
    [...bySource].map(async ([source, indexes]) => {
      const space = spaces[world.pods.findIndex(({ ips }) => ips.includes(source))]!;
      const targets = indexes.map((index): Target => {
        const { protocol, destination, port } = flows[index]!;
        return {
          id: index,
          protocol: protocol.toLowerCase() as Target['protocol'],
          address: destination,
          port,
          size: 32,
          timeoutMs,
        };
      });
      for (const outcome of await probe(space, targets))
        passed[Number(outcome.id)] = wasLetThrough(
          targets.find(({ id }) => id === Number(outcome.id))!,
          outcome,
        );
    }),
  );
  return passed;
}

async function forgetAll(): Promise<void> {
  await conntrack.cut(await conntrack.list());
}

function flowsOf({ pods }: OracleWorld): Flow[] {
  return pods.flatMap((from) =>
    pods
      .filter((to) => to !== from)
      .flatMap((to) =>
        from.ips.flatMap((source, family) =>
          (['TCP', 'UDP', 'SCTP', 'ICMP'] as const).flatMap((protocol) =>
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

test(`${CASES} random clusters on real packets: the kernel, the evaluator and the documentation agree`, async () => {
  await fc.assert(
    fc.asyncProperty(worlds(PODS), async (world) => {
      const compiled = compile(inputOf(world));
      await nftables.replace(renderTable(compiled));
      // A port that is used again would belong to a connection that another world allowed.
      await forgetAll();
      const flows = flowsOf(world);
      const wanted = flows.map(({ source, destination, protocol, port }) =>
        oracleAllows(world, source, destination, protocol, port),
      );
      const passed = await passes(world, flows, SILENCE_MS);
      // A machine that is busy looks like silence: what is missed is asked once more, with patience.
      const missed = flows
        .keys()
        .filter((index) => wanted[index]! && !passed[index]!)
        .toArray();
      const again = await passes(
        world,
        missed.map((index) => flows[index]!),
        PATIENCE_MS,
      );
      missed.forEach((index, number) => (passed[index] = again[number]!));
      const wrong = flows.flatMap((flow, index) => {
        const { protocol, port } = flow;
        const { allowed } = evaluate(compiled, {
          source: parseIp(flow.source),
          destination: parseIp(flow.destination),
          protocol,
          ...(protocol === 'ICMP' ? {} : { port }),
        });
        return passed[index] === wanted[index] && allowed === wanted[index]
          ? []
          : [
              `${JSON.stringify(flow)}: passed ${passed[index]}, evaluated ${allowed}, wanted ${wanted[index]}`,
            ];
      });
      assert.deepEqual(wrong.slice(0, 5), []);
    }),
    { numRuns: CASES, endOnFailure: true, ...(SEED === undefined ? {} : { seed: Number(SEED) }) },
  );
});
