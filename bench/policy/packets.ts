/** What a packet and a connection cost between two pods of one node, by the policies that stand between them. */
import { fileURLToPath } from 'node:url';
import { namespacePath, run } from '../../lab/namespaces.ts';
import { type Ip, parseIp } from '../../src/base/ip/ip.ts';
import { NetworkNamespace } from '../../src/edge/netlink/namespace.ts';
import { openNftables } from '../../src/edge/nftables/nft.ts';
import type { Table } from '../../src/edge/nftables/objects.ts';
import { type Case, findCase, type Ratio, summarize } from '../shared/bench.ts';
import { attachPod, hostName, startCluster } from '../shared/cluster.ts';
import { applyLinear } from './linear.ts';
import { eachOther, otherIp, others, podOf, policyEach, policyOfPeers, tableOf } from './policies.ts';

const PROGRAM = fileURLToPath(new URL('../../build/bench-packets', import.meta.url));
const ROUNDS = 20;
const COUNTS = [1, 100, 1000, 10_000] as const;
/** The node is as full as Kubernetes makes it by default. */
const PODS_OF_NODE = 110;
const METRICS = {
  packet: { name: 'CPU per 64-byte packet that begins a flow', unit: 'ns' },
  connection: { name: 'CPU per connection', unit: 'µs' },
} as const;
type Metric = keyof typeof METRICS;

/** What stands between the two measured pods. */
type Variant = { name: string; apply: (node: string, a: Ip, b: Ip) => Promise<void>; tracked?: false };

const word = (count: number) => `${count.toLocaleString('en')} ${count === 1 ? 'policy' : 'policies'}`;

/** Of the pods that are measured: all select them, and the last one allows. */
function selecting(count: number): Variant {
  return {
    name: word(count),
    apply: (node, a, b) => {
      const more = others(count - 1);
      const policies = policyEach('measured', [...more, eachOther(a, b)[0]!]);
      return load(node, tableOf(policies, measured(a, b), more.map(podOfAllowed)));
    },
  };
}

function linear(count: number): Variant {
  return {
    name: `${word(count)}, linear iptables`,
    apply: (node, a, b) => applyLinear(node, [a, b], [...others(count - 1), ...eachOther(a, b)]),
  };
}

/** One selects the pods that are measured, all others the other pods of the node. */
const elsewhere: Variant = {
  name: `${word(10_000)}, of which 1 of the measured pods`,
  apply: (node, a, b) => {
    const neighbors = Array.from({ length: PODS_OF_NODE - 2 }, (_, index) =>
      podOf(`neighbor-${index}`, parseIp(`10.244.0.${100 + index}`)),
    );
    const allowed = others(9999);
    const policies = neighbors.flatMap(({ labels }, index) =>
      policyEach(
        labels['app']!,
        allowed.filter((_, number) => number % neighbors.length === index),
        `of-${index}`,
      ),
    );
    const own = policyEach('measured', eachOther(a, b).slice(0, 1));
    return load(
      node,
      tableOf([...policies, ...own], [...measured(a, b), ...neighbors], allowed.map(podOfAllowed)),
    );
  },
};

function peers(kind: 'blocks' | 'pods'): Variant {
  return {
    name: `1 policy with 10,000 ${kind}`,
    apply: (node, a, b) => {
      const ips = Array.from({ length: 9998 }, (_, index) => otherIp(index));
      const policy = policyOfPeers([...ips, a, b], kind, 'measured');
      const pods = ips.map((ip, index) => podOf('measured', ip, `other-${index}`));
      return load(node, tableOf([policy], measured(a, b), kind === 'pods' ? pods : []));
    },
  };
}

const NONE: Variant = { name: 'no policy', apply: async () => undefined, tracked: false };
const TRACKED: Variant = { name: 'no policy, connections tracked', apply: async () => undefined };
const VARIANTS: readonly Variant[] = [
  NONE,
  TRACKED,
  ...COUNTS.map(selecting),
  elsewhere,
  peers('blocks'),
  peers('pods'),
  ...COUNTS.map(linear),
];

export async function measurePackets(
  directories: string[],
  tell: (step: string) => void,
): Promise<{ cases: Case[]; ratios: Ratio[] }> {
  const paths: string[] = [];
  for (const [index, { name, apply, tracked }] of VARIANTS.entries()) {
    tell(`a node with ${name}`);
    const id = `p${index}x`;
    const cluster = await startCluster(id, 1, 'host-gw', tracked === false ? [] : ['conntrack: always']);
    directories.push(cluster.directory);
    const node = cluster.nodes[0]!;
    const [a, b] = [
      parseIp(await attachPod(node, `${id}a`)),
      parseIp(await attachPod(node, `${id}b`)),
    ] as const;
    await apply(node.name, a, b);
    paths.push(`${name}:${hostName(`${id}a`)}:${hostName(`${id}b`)}:${b}`);
  }
  tell(`${ROUNDS} rounds over ${VARIANTS.length} nodes in turn`);
  return evaluate(await run(PROGRAM, [`${ROUNDS},packet,connection`, ...paths]));
}

function measured(a: Ip, b: Ip) {
  return [podOf('measured', a, 'a'), podOf('measured', b, 'b')];
}

function podOfAllowed({ app, ip }: { app: string; ip: Ip }) {
  return podOf(app, ip);
}

async function load(node: string, table: Table): Promise<void> {
  using namespace = NetworkNamespace.open(namespacePath(hostName(node)));
  using nftables = openNftables(namespace);
  await nftables.replace(table);
}

function evaluate(output: string): { cases: Case[]; ratios: Ratio[] } {
  const measurements = output
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { path: string; metric: Metric; value: number });
  const cases = (Object.keys(METRICS) as Metric[]).flatMap((metric) =>
    VARIANTS.map(({ name }) => {
      const own = measurements.filter((one) => one.path === name && one.metric === metric);
      return summarize(
        name,
        METRICS[metric].name,
        METRICS[metric].unit,
        own.map(({ value }) => value),
      );
    }),
  );
  const ratio = (key: string, metric: Metric, a: string, b: string, budget?: number): Ratio => ({
    key,
    value: findCase(cases, a, METRICS[metric].name).best / findCase(cases, b, METRICS[metric].name).best,
    ...(budget === undefined ? {} : { budget }),
  });
  const [one, all] = [word(1), word(10_000)];
  return {
    cases,
    ratios: (Object.keys(METRICS) as Metric[]).flatMap((metric) => {
      const key = metric === 'packet' ? 'packet' : 'connect';
      return [
        ratio(`${key}_10000_vs_1`, metric, all, one, 1.05),
        ratio(`${key}_1000_vs_1`, metric, word(1000), one, 1.05),
        ratio(`${key}_10000_of_others_vs_1`, metric, elsewhere.name, one, 1.05),
        ratio(`${key}_10000_peer_blocks_vs_1`, metric, peers('blocks').name, one),
        ratio(`${key}_10000_peer_pods_vs_1`, metric, peers('pods').name, one, 1.05),
        ratio(`${key}_1_vs_none`, metric, one, NONE.name),
        ratio(`${key}_1_vs_tracked`, metric, one, TRACKED.name),
        ratio(`${key}_10000_vs_linear_10000`, metric, all, linear(10_000).name),
        ratio(`${key}_1_vs_linear_1`, metric, one, linear(1).name),
        ratio(`${key}_linear_10000_vs_1`, metric, linear(10_000).name, linear(1).name),
      ];
    }),
  };
}
