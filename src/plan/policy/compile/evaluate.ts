/** Whether a packet that begins a connection passes, and who says so, without the kernel. */
import type { Ip } from '../../../base/ip/ip.ts';
import type { Direction, PolicyPod, Protocol } from '../parse/objects.ts';
import { type Clause, nameOf, rangesAt } from './clause.ts';
import type { Compiled, CompiledPod } from './compile.ts';
import { type BoundClause, type Decision, decide, means, propose, type Ruling } from './ruling.ts';

export type Flow = {
  source: Ip;
  destination: Ip;
  /** Of other protocols, as ICMP, only rules without ports tell anything. */
  protocol: Protocol | 'ICMP';
  /** Destination's; of no meaning for ICMP. */
  port?: number;
};

export type SideVerdict = {
  allowed: boolean;
  /** One sentence. */
  because: string;
  /** Who decided: none where nobody has to say anything. */
  policies: readonly string[];
  /** What staged policies would make of it, where that is something else. */
  proposed?: Omit<SideVerdict, 'proposed'>;
};

export type FlowVerdict = { allowed: boolean } & Record<Direction, SideVerdict>;

export function evaluate(compiled: Compiled, flow: Flow): FlowVerdict {
  const { source, destination } = flow;
  // A pod that talks to itself meets no policy: nothing leaves it.
  if (source === destination) {
    const itself = { allowed: true, because: 'a pod always reaches itself', policies: [] };
    return { allowed: true, egress: itself, ingress: itself };
  }
  const egress = judge(compiled, 'egress', source, destination, flow);
  const ingress = judge(compiled, 'ingress', destination, source, flow);
  return { allowed: egress.allowed && ingress.allowed, egress, ingress };
}

function judge(compiled: Compiled, direction: Direction, own: Ip, other: Ip, flow: Flow): SideVerdict {
  const side = compiled.byIp.get(own);
  const ruling = side?.[direction];
  if (side === undefined || ruling === undefined)
    return {
      allowed: true,
      because: `no policy isolates the ${direction === 'egress' ? 'source' : 'destination'} for ${direction}`,
      policies: [],
    };
  const identity = compiled.population.identityAt(other);
  const reached = direction === 'ingress' ? { ports: ruling.ownPorts } : identity;
  const matching = ruling.clauses.filter(
    (clause) => permitsPort(clause, reached, flow) && means(clause, identity, other),
  );
  const verdict = explain(side, ruling, decide(ruling, matching));
  const proposal = propose(ruling, matching);
  if (proposal === undefined || proposal.allowed === verdict.allowed) return verdict;
  return { ...verdict, proposed: explain(side, { ...ruling, isolatedBy: ruling.proposed! }, proposal) };
}

function permitsPort(
  clause: BoundClause,
  reached: { ports: PolicyPod['ports'] } | undefined,
  { protocol, port }: Flow,
): boolean {
  const ranges = rangesAt(clause, reached);
  if (ranges === undefined) return true;
  return (
    port !== undefined &&
    ranges.some((range) => range.protocol === protocol && port >= range.first && port <= range.last)
  );
}

function explain(
  { pod }: CompiledPod,
  { direction, isolatedBy }: Ruling,
  { allowed, clause, policies }: Decision,
): SideVerdict {
  const name = `pod ${nameOf(pod)}`;
  const reason = () => {
    if (clause !== undefined) return describeClause(clause, allowed, name);
    if (!allowed)
      return `${name} is isolated for ${direction} by ${isolatedBy.join(', ')}, and none of their rules allows it`;
    return `no rule for the ${direction} of ${name} matches`;
  };
  return { allowed, because: reason(), policies };
}

function describeClause({ tier, origin }: Clause, allowed: boolean, pod: string): string {
  const who = tier === 'network' ? origin : `cluster policy ${origin} (tier ${tier})`;
  return `${who} ${allowed ? 'allows' : 'denies'} it to ${pod}`;
}
