/** The proofs of `lab verify`, in the order of what a pod network must do. */
import { cidrFamily, cidrsOverlap, hostCidr, parseCidr } from '../../src/base/ip/cidr.ts';
import { parseIp } from '../../src/base/ip/ip.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { addPod, deletePod } from '../pods.ts';
import { nodePaths } from '../state.ts';
import type { LabPlan } from '../topology.ts';
import { ask, type Check } from './ask.ts';
import { proveServices, whyNoServices } from './services.ts';
import { proveSizes } from './sizes.ts';
import { everyWay, type LabView, onePerNode } from './view.ts';

export type Proof = {
  number: number;
  title: string;
  /** @param streamBytes of the long stream. */
  run: (lab: LabView, streamBytes: number) => Promise<Check[]>;
  /** @returns why it cannot be run in this lab. */
  whyNot?: (plan: LabPlan) => Promise<string | undefined>;
};

/** Beyond this many pods the mesh across nodes is of one pod per node. */
const FULL_MESH = 16;

export const PROOFS: readonly Proof[] = [
  {
    number: 1,
    title: 'a pod has its address; its containers share it; pods of one node talk',
    run: proveSingleNode,
  },
  { number: 2, title: 'pods reach pods on other nodes without NAT', run: provePodsToPods },
  { number: 3, title: 'nodes reach pods on every node without SNAT', run: proveNodesToPods },
  { number: 4, title: 'pods reach every node', run: provePodsToNodes },
  { number: 5, title: 'no two nodes share a range, no two pods an address', run: proveUniqueness },
  {
    number: 6,
    title: 'pods reach the outside with the address of their node, and only that is masqueraded',
    run: proveOutside,
  },
  {
    number: 7,
    title: 'full-size packets pass, larger ones are told so, a long stream arrives whole',
    run: proveSizes,
  },
  {
    number: 8,
    title: 'services are reached at each of their addresses, from pods, nodes and outside',
    run: proveServices,
    whyNot: whyNoServices,
  },
];

const LOCALHOST = { 4: '127.0.0.1', 6: '::1' } as const;

async function proveSingleNode({ plan, pods, family }: LabView): Promise<Check[]> {
  const localhost = pods.flatMap((pod) =>
    everyWay(pod, { ...pod, address: LOCALHOST[family] }, LOCALHOST[family]).filter(
      ({ protocol }) => protocol !== 'icmp',
    ),
  );
  // Every client is a second process in the pod's namespace: a second container of the pod.
  const itself = pods.flatMap((pod) => everyWay(pod, pod));
  const neighbors = pods.flatMap((from) =>
    pods.filter((to) => to.node === from.node && to.name !== from.name).flatMap((to) => everyWay(from, to)),
  );
  return [...(await ask([...localhost, ...itself, ...neighbors])), ...(await proveRecreation(plan))];
}

/** A deleted pod's address is free again, but used last: the pod that comes next has another one. */
async function proveRecreation(plan: LabView['plan']): Promise<Check[]> {
  if (plan.options.cni === 'none') return [];
  const node = plan.nodes[0]!.name;
  const name = `verify-${process.pid}`;
  const first = await addPod(plan, name, node);
  await deletePod(plan, first);
  const second = await addPod(plan, name, node);
  await deletePod(plan, second);
  const detail = `${first.ips?.join()} and then ${second.ips?.join()}`;
  return [
    {
      what: `a pod that is deleted and created again on ${node} gets an address`,
      ok: first.ips !== undefined && second.ips !== undefined,
      detail,
    },
  ];
}

async function provePodsToPods({ pods }: LabView): Promise<Check[]> {
  const sample = pods.length <= FULL_MESH ? pods : onePerNode(pods);
  return ask(
    sample.flatMap((from) =>
      sample.filter((to) => to.node !== from.node).flatMap((to) => everyWay(from, to)),
    ),
  );
}

async function proveNodesToPods({ nodes, pods }: LabView): Promise<Check[]> {
  const sample = pods.length <= FULL_MESH ? pods : onePerNode(pods);
  return ask(nodes.flatMap((from) => sample.flatMap((to) => everyWay(from, to))));
}

async function provePodsToNodes({ nodes, pods }: LabView): Promise<Check[]> {
  const sample = pods.length <= FULL_MESH ? pods : onePerNode(pods);
  return ask(sample.flatMap((from) => nodes.flatMap((to) => everyWay(from, to))));
}

async function proveUniqueness({ plan, nodes, pods, family }: LabView): Promise<Check[]> {
  const ranges = await Promise.all(
    nodes.map(async (node) => ({
      node: node.name,
      ranges: (await rangesOf(plan, node)).filter((range) => cidrFamily(parseCidr(range)) === family),
    })),
  );
  const shared = ranges.flatMap((a, index) =>
    ranges
      .slice(index + 1)
      .filter((b) => a.ranges.some((x) => b.ranges.some((y) => cidrsOverlap(parseCidr(x), parseCidr(y)))))
      .map(
        (b) =>
          `${a.node} and ${b.node} both hand out ${a.ranges.join(', ')}: nobody has divided the pod network among the nodes`,
      ),
  );
  const rangeless = ranges
    .filter((node) => node.ranges.length === 0)
    .map(({ node }) => `${node} has no range`);
  const twins = [...Map.groupBy(pods, ({ address }) => address)].flatMap(([address, group]) =>
    group.length < 2
      ? []
      : [`${group.map(({ name, node }) => `${name} on ${node}`).join(' and ')} both have ${address}`],
  );
  const outside = pods
    .filter(
      (pod) =>
        !ranges.find(({ node }) => node === pod.node)?.ranges.some((range) => holds(range, pod.address)),
    )
    .map((pod) => `${pod.name} has ${pod.address}, which is not of ${pod.node}'s range`);
  return [
    check(`${nodes.length} nodes have ranges of their own`, [...shared, ...rangeless]),
    check(`${pods.length} pods have addresses of their own`, twins),
    check('every pod has an address of its node', outside),
  ];
}

async function rangesOf(
  { options }: LabView['plan'],
  { name, range }: { name: string; range: string },
): Promise<readonly string[]> {
  if (options.cni === 'none') return [range];
  const { readiness } = await askStatus(nodePaths(options.name, name).apiSocket);
  return readiness.ready ? readiness.view.ranges : [];
}

function holds(range: string, address: string): boolean {
  return cidrsOverlap(parseCidr(range), hostCidr(parseIp(address)));
}

function check(what: string, faults: readonly string[]): Check {
  return faults.length === 0
    ? { what, ok: true }
    : { what, ok: false, detail: faults.slice(0, 5).join('; ') };
}

async function proveOutside({ nodes, pods, world }: LabView): Promise<Check[]> {
  const addressOf = new Map(nodes.map(({ name, address }) => [name, address]));
  return ask([
    ...pods.flatMap((pod) => everyWay(pod, world, addressOf.get(pod.node))),
    ...nodes.flatMap((node) => everyWay(node, world)),
  ]);
}
