/** Whether a packet that begins a connection passes, and who says so, without the kernel. */
import type { Ip } from '../../../base/ip/ip.ts';
import type { Reason } from '../../flow/flow-record.ts';
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
  reason: Reason;
  /** Who decided: none where no policy has a say. */
  policies: readonly string[];
  /** What staged policies would make of it, where that is something else. */
  proposed?: Omit<SideVerdict, 'proposed'>;
};

export type FlowVerdict = { allowed: boolean } & Record<Direction, SideVerdict>;

export function evaluate(compiled: Compiled, flow: Flow): FlowVerdict {
  const { source, destination } = flow;
  // A pod that talks to itself meets no policy: nothing leaves it.
  if (source === destination) {
    return { allowed: true, egress: ITSELF, ingress: ITSELF };
  }
  const egress = evaluateSide(compiled, 'egress', flow);
  const ingress = evaluateSide(compiled, 'ingress', flow);
  return { allowed: egress.allowed && ingress.allowed, egress, ingress };
}

export const ITSELF: SideVerdict = { allowed: true, reason: { code: 'itself' }, policies: [] };

/** What the policies of one end alone say. */
export function evaluateSide(compiled: Compiled, direction: Direction, flow: Flow): SideVerdict {
  const { source, destination } = flow;
  const [own, other] = direction === 'egress' ? [source, destination] : [destination, source];
  const side = compiled.byIp.get(own);
  const ruling = side?.[direction];
  if (side === undefined || ruling === undefined)
    return { allowed: true, reason: { code: 'not-isolated', direction }, policies: [] };
  if (direction === 'ingress' && compiled.isOwnNode(side.pod, other))
    return { allowed: true, reason: { code: 'own-node' }, policies: [] };
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
  const name = nameOf(pod);
  const reason = (): Reason => {
    if (clause !== undefined) return reasonOf(clause, allowed, name);
    return allowed
      ? { code: 'no-rule', pod: name, direction }
      : { code: 'isolated', pod: name, direction, policies: isolatedBy };
  };
  return { allowed, reason: reason(), policies };
}

function reasonOf({ tier, origin }: Clause, allowed: boolean, pod: string): Reason {
  return { code: 'rule', rule: origin, tier, action: allowed ? 'allow' : 'deny', pod };
}
