/**
 * Random policies on real packets: nftables, the evaluator and the naive reading of the documentation say the same; what
 * passed was answered, and what was denied was counted by the kernel, for the policies that the evaluator names.
 */
import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { namespacePath, run } from '../../lab/namespaces.ts';
import { nodePaths, readPods } from '../../lab/state.ts';
import { parseIp } from '../../src/base/ip/ip.ts';
import { atOnce } from '../../src/base/run/slices.ts';
import { openRenderer, POLICY_TABLE } from '../../src/datapath/nftables/policy/render.ts';
import { openConntrack } from '../../src/edge/conntrack/conntrack.ts';
import { NetworkNamespace } from '../../src/edge/netlink/namespace.ts';
import { openNftables } from '../../src/edge/nftables/nft.ts';
import { compile } from '../../src/plan/policy/compile/compile.ts';
import { evaluate, type FlowVerdict } from '../../src/plan/policy/compile/evaluate.ts';
import { startLab } from '../lab/fixture.ts';
import { until } from '../until.ts';
import { type OracleWorld, oracleAllows } from './oracle.ts';
import { casesOf, inBatches } from './seeds.ts';
import { type Fate, openVolleys, type Shot } from './volley.ts';
import { inputOf, PORTS, worlds } from './worlds.ts';

const CASES = casesOf('FAIRLEAD_POLICY_KERNEL_CASES', 300);
const PODS = 6;

const plan = await startLab({ nodes: 1, pods: PODS, family: 'dual' });
const node = plan.nodes[0]!;
const namespace = NetworkNamespace.open(namespacePath(node.namespace));
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
const volleys = openVolleys(spaces.map((space) => ({ namespace: space, node: '192.168.1.2' })));
after(() => {
  volleys[Symbol.dispose]();
  nftables[Symbol.dispose]();
  conntrack[Symbol.dispose]();
  namespace[Symbol.dispose]();
});

function shotsOf({ pods }: OracleWorld): Shot[] {
  return pods.flatMap((source, from) =>
    pods.flatMap((destination, to) =>
      from === to
        ? []
        : source.ips.flatMap((ip, family) =>
            (['TCP', 'UDP', 'SCTP', 'ICMP'] as const).flatMap((protocol) =>
              (protocol === 'ICMP' ? [0] : PORTS).map((port) => ({
                from,
                to,
                source: ip,
                destination: destination.ips[family]!,
                protocol,
                port,
              })),
            ),
          ),
    ),
  );
}

/** How many packets each outcome has, by direction, verdict and who decided. */
type Tally = Map<string, number>;

function count(tally: Tally, direction: string, allowed: boolean, policies: readonly string[], by: number) {
  const key = `${direction} ${allowed ? 'allowed' : 'denied'} by ${policies.join(', ')}`;
  if (by > 0) tally.set(key, (tally.get(key) ?? 0) + by);
}

/** The sender's side is asked first; where it denies, the other one is not asked. */
function tallyOf(verdicts: readonly FlowVerdict[]): Tally {
  const tally: Tally = new Map();
  for (const { egress, ingress } of verdicts) {
    const asked = egress.allowed ? ({ egress, ingress } as const) : ({ egress } as const);
    for (const [direction, { allowed, policies }] of Object.entries(asked))
      if (policies.length > 0) count(tally, direction, allowed, policies, 1);
  }
  return tally;
}

async function check(world: OracleWorld): Promise<void> {
  const compiled = compile(inputOf(world));
  const { table, outcomes } = atOnce(openRenderer().render(compiled));
  await nftables.replace(table);
  const before = await nftables.counts(POLICY_TABLE);
  // A port that is used again would belong to a connection that another world allowed.
  await conntrack.cut(await conntrack.list());
  const shots = shotsOf(world);
  const fates = await volleys.fire(shots);
  const verdicts = shots.map(({ source, destination, protocol, port }) =>
    evaluate(compiled, {
      source: parseIp(source),
      destination: parseIp(destination),
      protocol,
      ...(protocol === 'ICMP' ? {} : { port }),
    }),
  );
  const wrong = shots.flatMap((shot, index) => {
    const { source, destination, protocol, port } = shot;
    const wanted: Fate = oracleAllows(world, source, destination, protocol, port) ? 'answered' : 'lost';
    const [fate, { allowed }] = [fates[index]!, verdicts[index]!];
    return fate === wanted && allowed === (wanted === 'answered')
      ? []
      : [`${JSON.stringify(shot)}: ${fate}, evaluated ${allowed}, the documentation says ${wanted}`];
  });
  assert.deepEqual(wrong.slice(0, 5), []);
  const counted: Tally = new Map();
  for (const [name, { packets }] of await nftables.counts(POLICY_TABLE)) {
    const { direction, allowed, policies } = outcomes.get(name)!;
    count(counted, direction, allowed, policies, packets - before.get(name)!.packets);
  }
  assert.deepEqual(sorted(counted), sorted(tallyOf(verdicts)));
}

function sorted(tally: Tally): [string, number][] {
  return [...tally].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

test(`${CASES} random clusters on real packets: the kernel, the evaluator and the documentation agree`, (t) =>
  inBatches(t, CASES, (parameters) =>
    fc.assert(fc.asyncProperty(worlds(PODS), check), { ...parameters, endOnFailure: true }),
  ));
