/**
 * What pods send through this node, judged by packets that a stand-in for a pod sent: another pod of the node, every
 * peer, the outside. Where something is missing, what nftables traced says which rule took it.
 */
import type { Cidr } from '../../base/ip/cidr.ts';
import type { Ip } from '../../base/ip/ip.ts';
import { type ClosedChain, describeClosed } from '../../edge/nftables/forward-chains.ts';
import { broken, doubtful, type Finding, fine } from './finding.ts';
import type { Answer, Probe } from './paths.ts';
import type { Traces } from './trace.ts';
import { type Drop, describeDrop, STAGES, type Traced } from './traced.ts';

export type Goal = {
  /** As in `node-2 (10.244.1.0/24)`. */
  name: string;
  kind: 'pod' | 'peer' | 'outside';
  source: Ip;
  address: Ip;
  /** Whether it answers the node itself: what is lost for both is no matter of forwarding. */
  answersNode: boolean;
};

export type Tried = { goal: Goal; answers: readonly Answer[] };

export const FORWARDED = ['echo', 'datagram', 'connect'] as const;
const WORDS: Readonly<Record<string, string>> = { echo: 'ICMP', datagram: 'UDP', connect: 'TCP' };
const PROTOCOLS: Readonly<Record<string, Traced['protocol']>> = {
  echo: 'icmp',
  datagram: 'udp',
  connect: 'tcp',
};
const WHAT = 'forwarded packets';
const SMALL = 56;

export function probesTo({ address }: Goal): Probe[] {
  return FORWARDED.map((kind) => ({ kind, address, size: SMALL }));
}

/** Whether the other end had the packet: a refusal of its own is an answer too. */
export function isAnswered({ ok, error = '', offender }: Answer, { address }: Goal): boolean {
  if (ok) return true;
  return offender === undefined ? /refused/i.test(error) : offender === address;
}

/** Goals of which something was not answered. */
export function failing(tried: readonly Tried[]): Tried[] {
  return tried.filter(({ goal, answers }) => answers.some((answer) => !isAnswered(answer, goal)));
}

export type Surroundings = {
  traces: Traces;
  /** Chains that refuse, of legacy iptables, which traces nothing. */
  legacy: readonly ClosedChain[];
  /** Rules of others for routing, in words. */
  routing: readonly string[];
  /** Whether pods carry the node's address outside. */
  masquerades: boolean;
  ranges: readonly Cidr[];
};

export function judgeForwarding(tried: readonly Tried[], surroundings: Surroundings): Finding[] {
  const drops = new Map<string, { drop: Drop; lost: Map<string, Set<string>> }>();
  const findings: Finding[] = [];
  for (const one of tried) {
    const missing = one.answers.filter((answer) => !isAnswered(answer, one.goal)).map(({ kind }) => kind);
    if (missing.length === 0) continue;
    const found = dropsOf(one.goal, missing, surroundings.traces);
    for (const { drop, kind } of found) {
      const key = describeDrop(drop);
      const known = drops.get(key) ?? { drop, lost: new Map() };
      const kinds = known.lost.get(one.goal.name) ?? new Set();
      known.lost.set(one.goal.name, kinds.add(WORDS[kind] ?? kind));
      drops.set(key, known);
    }
    if (found.length === 0) findings.push(...judgeMissing(one.goal, missing, surroundings));
  }
  const rejected = [...drops.values()].map(({ drop, lost }) =>
    broken(WHAT, `${describeDrop(drop)} rejects what pods send: ${describeLost(lost)}`, cureOf(drop)),
  );
  const all = [...rejected, ...findings];
  if (tried.length === 0)
    return [
      doubtful(
        WHAT,
        'none were tried: there was nothing to send them to',
        'give the node a range, or a peer',
      ),
    ];
  return all.some(({ verdict }) => verdict === 'broken')
    ? all
    : [...all, fine(WHAT, `a pod reaches ${list(tried.map(({ goal }) => goal.name))}`)];
}

type Missing = Answer['kind'];

function dropsOf(goal: Goal, missing: readonly Missing[], traces: Traces): { drop: Drop; kind: Missing }[] {
  if (!traces.known) return [];
  return missing.flatMap((kind) => {
    const packet = packetsOf(goal, kind, traces).find(({ dropped }) => dropped !== undefined);
    return packet?.dropped === undefined ? [] : [{ drop: packet.dropped, kind }];
  });
}

/** There, and what came back; errors about them are of their own kind. */
function packetsOf({ source, address }: Goal, kind: Missing, traces: Traces & { known: true }): Traced[] {
  return traces.packets.filter(
    (packet) =>
      packet.protocol === PROTOCOLS[kind] &&
      ((packet.source === source && packet.destination === address) ||
        (packet.source === address && packet.destination === source)),
  );
}

/** Nothing that nftables shows took it. */
function judgeMissing(goal: Goal, missing: readonly Missing[], surroundings: Surroundings): Finding[] {
  const words = missing.map((kind) => WORDS[kind] ?? kind);
  const { traces, legacy, routing } = surroundings;
  const isSilent = missing.length === FORWARDED.length;
  const stage = furthest(goal, missing, traces);
  if (stage === 'routed' || (!traces.known && legacy.length > 0))
    return [
      broken(
        WHAT,
        `${list(words)} of pods to ${goal.name} ${legacy.length === 0 ? 'is dropped between the chains of nftables' : `is dropped by ${list(legacy.map(describeClosed))}`}`,
        legacy.length === 0
          ? 'look at the rules of legacy iptables (iptables-legacy -S FORWARD), and accept the pod network there'
          : cureOf(legacy[0]!),
      ),
    ];
  if (stage === 'arrived')
    return [
      broken(
        WHAT,
        `${list(words)} of pods to ${goal.name} finds no way through this node${routing.length === 0 ? '' : `, where others have rules for routing: ${list(routing)}`}`,
        routing.length === 0
          ? `look at the reverse path filter and the forwarding of its interfaces (sysctl net.ipv4.conf), and ask the kernel: ip route get ${goal.address} from ${goal.source} iif the interface of a pod`
          : 'take the pod network out of these rules, or put one before them that looks it up in main',
      ),
    ];
  if (answersAreStuck(goal, missing, traces))
    return [
      broken(
        WHAT,
        `answers of ${goal.name} to ${list(words)} come to this node, and it does not forward them to pods`,
        'look at the forwarding and the reverse path filter of the interface that they come by: sysctl net.ipv4.conf.all.forwarding, and that of the interface, must be 1',
      ),
    ];
  if (!isSilent) {
    if (goal.kind === 'pod')
      return [
        broken(
          WHAT,
          `${list(words)} of pods to ${goal.name} is lost within this node, though others pass`,
          'look for what filters it beside nftables: tc, XDP, or legacy iptables',
        ),
      ];
    if (!missing.includes('echo')) return [];
    return [
      doubtful(
        WHAT,
        `ICMP to ${goal.name} is filtered on the way; the path is not lost: other packets pass`,
        'let ICMP pass: without it nothing tells what packets are too large',
      ),
    ];
  }
  return judgeSilence(goal, surroundings, stage);
}

function judgeSilence(goal: Goal, { masquerades, ranges }: Surroundings, stage: Traced['stage']): Finding[] {
  // The finding about the path itself has said so, with its cure.
  if (goal.kind === 'peer' && !goal.answersNode) return [];
  if (goal.kind !== 'outside')
    return [
      broken(
        WHAT,
        `nothing of what pods send to ${goal.name} is answered${goal.kind === 'peer' ? ', though it answers this node' : ''}`,
        goal.kind === 'peer'
          ? `look at what filters addresses of ${ranges.join(', ')} between the nodes and on the other one: fairlead doctor there`
          : 'look at what drops packets beside nftables: tc, XDP, or legacy iptables',
      ),
    ];
  if (!goal.answersNode && stage === 'left')
    return [
      fine(
        WHAT,
        `those to the outside leave this node; ${goal.name.split(' ').at(-1)} answers neither them nor the node`,
      ),
    ];
  if (!goal.answersNode)
    return [
      doubtful(
        WHAT,
        `${goal.name} answers neither pods nor this node: whether pods reach the outside cannot be told`,
        'try it from a pod',
      ),
    ];
  return [
    broken(
      WHAT,
      `${goal.name} answers this node and no pod`,
      masquerades
        ? 'look at what else translates addresses or filters on this node and behind it'
        : `masquerade.enabled is false: give the routers routes to ${ranges.join(', ')}, or switch it on`,
    ),
  ];
}

/** Whether what answers comes back and is not routed on. */
function answersAreStuck(goal: Goal, missing: readonly Missing[], traces: Traces): boolean {
  if (!traces.known) return false;
  const back = missing.flatMap((kind) =>
    packetsOf(goal, kind, traces).filter(({ source }) => source === goal.address),
  );
  return back.length > 0 && back.every(({ stage }) => stage === 'arrived');
}

/** How far the one came that came least far; undefined where that was not seen. */
function furthest(goal: Goal, missing: readonly Missing[], traces: Traces): Traced['stage'] {
  if (!traces.known) return undefined;
  const stages = missing.flatMap((kind) => {
    const there = packetsOf(goal, kind, traces).filter(({ source }) => source === goal.source);
    return there.flatMap(({ stage }) => (stage === undefined ? [] : [STAGES.indexOf(stage)]));
  });
  return stages.length === 0 ? undefined : STAGES[Math.min(...stages)];
}

function cureOf({ table, chain }: { table: string; chain: string }): string {
  if (/ fairlead(-|$)/.test(table))
    return "this table is Fairlead's own: look at the problems of fairlead status, and at fairlead why";
  if (table.endsWith(' firewalld'))
    return 'tell firewalld of the pod network: firewall-cmd --permanent --zone=trusted --add-source=RANGE for each range of podNetwork, then --reload';
  return `accept the pod network in chain ${chain} of table ${table} before that, as source and as destination; Docker drops so too (daemon.json: "iptables": false)`;
}

/** As in `ICMP and TCP to node-2 and node-3, TCP to the outside`. */
function describeLost(lost: ReadonlyMap<string, ReadonlySet<string>>): string {
  const byKinds = Map.groupBy(lost, ([, kinds]) => list([...kinds]));
  return [...byKinds].map(([kinds, goals]) => `${kinds} to ${list(goals.map(([goal]) => goal))}`).join(', ');
}

/** As in `a, b and c`. */
function list(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}
