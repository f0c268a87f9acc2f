/** Packet sizes: what fits passes without fragments, what does not is told so, and a long stream arrives whole. */

import { type IpFamily, ipFamily } from '../../src/base/ip/ip.ts';
import { addPod, deletePod } from '../pods.ts';
import type { ProbeOutcome } from '../prober.ts';
import type { LabPlan } from '../topology.ts';
import { ask, type Check, probeAll, type Question } from './ask.ts';
import { type LabView, onePerNode, type PodHost } from './view.ts';

/** IPv4 header 20 or IPv6 header 40, UDP or ICMP header 8. */
const HEADERS = { 4: 28, 6: 48 } as const;
const STREAM_MS = 60_000;
/** Pairs of nodes whose paths carry the long stream in a large lab. */
const MOST_STREAMS = 6;

export async function proveSizes({ plan, pods, family }: LabView, streamBytes: number): Promise<Check[]> {
  const across = neighborsInRing(onePerNode(pods));
  const within = sameNodePair(pods);
  const pairs = within === undefined ? across : [within, ...across];
  return [
    ...(await proveFullSize(pairs, HEADERS[family])),
    ...(await proveOversize(plan, across[0], family)),
    ...(await proveStreams(pairs.slice(0, MOST_STREAMS), streamBytes)),
  ];
}

type Pair = { from: PodHost; to: PodHost };

/** Every node once as source and once as destination. */
function neighborsInRing(pods: readonly PodHost[]): Pair[] {
  return pods.length < 2 ? [] : pods.map((from, index) => ({ from, to: pods[(index + 1) % pods.length]! }));
}

function sameNodePair(pods: readonly PodHost[]): Pair | undefined {
  for (const from of pods) {
    const to = pods.find((pod) => pod.node === from.node && pod.name !== from.name);
    if (to !== undefined) return { from, to };
  }
  return undefined;
}

async function proveFullSize(pairs: readonly Pair[], headers: number): Promise<Check[]> {
  const sized = (pair: Pair, protocol: 'udp' | 'icmp', more: number): Question => ({
    ...pair,
    protocol,
    size: Math.min(pair.from.mtu, pair.to.mtu) - headers + more,
    dontFragment: true,
  });
  const fitting = pairs.flatMap((pair) => [sized(pair, 'udp', 0), sized(pair, 'icmp', 0)]);
  const larger = pairs.flatMap((pair) => [sized(pair, 'udp', 1), sized(pair, 'icmp', 1)]);
  const passed = (await ask(fitting)).map((check, index) => ({
    ...check,
    what: `${check.what}, full size of ${fitting[index]!.size! + headers} bytes`,
  }));
  const refused = (await probeAll(larger)).map((outcome, index) =>
    judgeRefusal(larger[index]!, outcome, headers),
  );
  return [...passed, ...refused];
}

/** A pod whose interface takes more than the tunnel: the node must answer "fragmentation needed", with the size that fits. */
async function proveOversize(plan: LabPlan, pair: Pair | undefined, family: IpFamily): Promise<Check[]> {
  if (pair === undefined || plan.options.cni === 'none' || pair.from.mtu >= plan.options.mtu) return [];
  const pod = await addPod(plan, `verify-${process.pid}`, pair.from.node, plan.options.mtu);
  const from: PodHost = {
    name: pod.name,
    namespace: pod.namespace,
    address: pod.ips!.find((ip) => ipFamily(ip) === family)!,
    node: pod.node,
    mtu: pod.mtu!,
  };
  const question: Question = {
    from,
    to: pair.to,
    protocol: 'icmp',
    size: pair.to.mtu - HEADERS[family] + 1,
    dontFragment: true,
  };
  const [outcome] = await probeAll([question]);
  await deletePod(plan, pod);
  const said = outcome!.offender !== undefined && outcome!.mtu === pair.to.mtu;
  const check = judgeRefusal(question, outcome!, HEADERS[family]);
  return [
    said
      ? check
      : {
          ...check,
          ok: false,
          detail: `the node sent no ICMP error with ${pair.to.mtu} (${describe(outcome!)})`,
        },
  ];
}

function judgeRefusal({ from, to, protocol, size }: Question, outcome: ProbeOutcome, headers: number): Check {
  const what = `${protocol} ${from.name} → ${to.name}, one byte more (${size! + headers})`;
  if (outcome.ok) return { what, ok: false, detail: 'passed, although nothing that large fits' };
  if (outcome.mtu === size! + headers - 1) return { what, ok: true, detail: describe(outcome) };
  return {
    what,
    ok: false,
    detail: `got no proper error (${describe(outcome)}): a black hole for large packets`,
  };
}

function describe({ error, mtu, offender }: ProbeOutcome): string {
  const who = offender === undefined ? 'its own kernel' : `ICMP of ${offender}`;
  return `${error ?? 'no error'}${mtu === undefined ? '' : `, ${mtu} bytes fit, said ${who}`}`;
}

async function proveStreams(pairs: readonly Pair[], bytes: number): Promise<Check[]> {
  const checks: Check[] = [];
  // One at a time: they share the machine's cores.
  for (const pair of pairs) {
    const question: Question = { ...pair, protocol: 'stream', size: bytes, timeoutMs: STREAM_MS };
    const [check] = await ask([question]);
    checks.push({ ...check!, what: `${bytes / 1_000_000} MB by tcp ${pair.from.name} → ${pair.to.name}` });
  }
  return checks;
}
