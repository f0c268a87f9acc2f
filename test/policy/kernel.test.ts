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
import { runToEnd } from '../../src/base/run/slices.ts';
import { openRenderer, POLICY_TABLE } from '../../src/datapath/nftables/policy/render.ts';
import { openConntrack } from '../../src/edge/conntrack/conntrack.ts';
import { NetworkNamespace } from '../../src/edge/netlink/namespace.ts';
import { openNftables } from '../../src/edge/nftables/nft.ts';
import { compile } from '../../src/plan/policy/compile/compile.ts';
import { evaluate, type FlowVerdict } from '../../src/plan/policy/compile/evaluate.ts';
import { openNodeCompiler } from '../../src/plan/policy/compile/node.ts';
import { openTabulator } from '../../src/plan/policy/compile/table.ts';
import { parseNetworkPolicy } from '../../src/plan/policy/parse/parse-network-policy.ts';
import { startLab } from '../lab/fixture.ts';
import { until } from '../until.ts';
import { type OracleWorld, oracleAllows } from './oracle.ts';
import { casesOf, inBatches } from './seeds.ts';
import { type Fate, openVolleys, type Shot } from './volley.ts';
import { inputOf, NODES, PORTS, worlds } from './worlds.ts';

const CASES = casesOf('FAIRLEAD_POLICY_KERNEL_CASES', 300);
const PODS = 6;

const plan = await startLab({ nodes: 1, pods: PODS, family: 'dual' });
const node = plan.nodes[0]!;
const nodeSpace = `--net=${namespacePath(node.namespace)}`;
const namespace = NetworkNamespace.open(namespacePath(node.namespace));
const nftables = openNftables(namespace);
const conntrack = openConntrack(namespace);
const spaces = readPods(plan.options.name).map((pod) => pod.namespace);
appendFileSync(nodePaths(plan.options.name, node.name).configuration, 'conntrack: always\n');
await until('connections between pods are tracked', async () => {
  const table = await run('nsenter', [nodeSpace, 'nft', 'list', 'table', 'inet', 'fairlead']);
  return !/between pods/.test(table);
});
for (const range of ['172.17.0.1/32', 'fd00:172:17::1/128'])
  await run('nsenter', [nodeSpace, 'ip', 'addr', 'add', range, 'dev', 'lo']);
const volleys = openVolleys([
  ...spaces.map((space) => ({ namespace: space, node: '192.168.1.2' })),
  { namespace: node.namespace },
]);
after(() => {
  volleys[Symbol.dispose]();
  nftables[Symbol.dispose]();
  conntrack[Symbol.dispose]();
  namespace[Symbol.dispose]();
});

/** Between all pods, from each to all addresses of its node, and from its node to each. */
function shotsOf({ pods }: OracleWorld): Shot[] {
  const ends = [...pods.map(({ ips }) => ips), NODES[0].ips];
  const isOf = (family: number, ip: string) => ip.includes(':') === (family === 1);
  return ends.flatMap((sources, from) =>
    ends.flatMap((destinations, to) =>
      from === to
        ? []
        : [0, 1].flatMap((family) => {
            const source = sources.find((ip) => isOf(family, ip))!;
            return destinations
              .filter((ip) => isOf(family, ip))
              .flatMap((destination) =>
                (['TCP', 'UDP', 'SCTP', 'ICMP'] as const).flatMap((protocol) =>
                  (protocol === 'ICMP' ? [0] : PORTS).map(
                    (port): Shot => ({ from, to, source, destination, protocol, port }),
                  ),
                ),
              );
          }),
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

async function check(drawn: OracleWorld): Promise<void> {
  const world = { ...drawn, pods: drawn.pods.map((pod) => ({ ...pod, node: NODES[0].name })) };
  const compiled = compile(inputOf(world));
  // Sets of what is said of many have their turn too.
  const renderer = openRenderer(world.pods.length % 2 === 0 ? 2 : undefined);
  const { table, outcomes } = runToEnd(renderer.render(runToEnd(openTabulator().tabulate(compiled))));
  await nftables.replace(table);
  const before = await nftables.counts(POLICY_TABLE);
  // A port that is used again would belong to a connection that another world allowed.
  await conntrack.cut((await Array.fromAsync(conntrack.walk())).flat());
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

test('addresses of links are no way around policies, and neighbors are found under all of them', async () => {
  const [pod] = readPods(plan.options.name);
  const podSpace = `--net=${namespacePath(pod!.namespace)}`;
  const route = await run('nsenter', [nodeSpace, 'ip', '-j', 'route', 'get', String(pod!.ips![0])]);
  const [{ dev }] = JSON.parse(route) as [{ dev: string }];
  // Neither end has an entry for the other.
  const ends = [
    [nodeSpace, dev, 'fe80::a'],
    [podSpace, 'eth0', 'fe80::b'],
  ] as const;
  for (const [space, link, ip] of ends)
    await run('nsenter', [space, 'ip', 'addr', 'add', `${ip}/64`, 'dev', link, 'nodad']);
  const here = { name: node.name, ips: [] };
  const attached = [
    { pod: { namespace: 'a', name: 'p' }, ips: pod!.ips!.map((ip) => parseIp(ip)), link: dev },
  ];
  const enforce = async (egress: object[]) => {
    const { policy } = parseNetworkPolicy('a', 'p', {
      spec: { podSelector: {}, policyTypes: ['Egress'], egress },
    });
    const input = { pods: [], namespaces: [], policies: [policy], clusterPolicies: [], nodes: [] };
    const known = { namespace: 'a', name: 'p', labels: {}, podIPs: [], hostNetwork: false, phase: 'Running' };
    const compiling = openNodeCompiler().compile(
      { ...input, pods: [{ ...known, ports: [] }] },
      attached,
      here,
    );
    const policies = runToEnd(openTabulator().tabulate(runToEnd(compiling)));
    await nftables.replace(runToEnd(openRenderer().render(policies)).table);
  };
  const connect = `const socket = require('node:net').connect(8080, 'fe80::a%eth0');
    socket.on('connect', () => { console.log('open'); process.exit(); });
    socket.on('error', (error) => { console.log(error.code); process.exit(); });`;
  const ask = (script: string) => run('nsenter', [podSpace, process.execPath, '-e', script]);
  await enforce([]);
  const waiting = ask(`${connect} setTimeout(() => process.exit(), 5_000).unref();`);
  await until('the neighbor is found', async () =>
    /lladdr/.test(await run('nsenter', [podSpace, 'ip', 'neigh', 'show', 'fe80::a', 'dev', 'eth0'])),
  );
  await until('the connection is denied', async () =>
    [...(await nftables.counts(POLICY_TABLE))].some(
      ([name, { packets }]) => name.includes('deny') && packets > 0,
    ),
  );
  await enforce([{}]);
  assert.equal((await ask(connect)).trim(), 'open');
  await waiting;
});
