/** Asks the policies of both ends of a connection: those of the pods here as this node enforces them, others as it would. */
import type { Ip } from '../../../base/ip/ip.ts';
import type { Slices } from '../../../base/run/slices.ts';
import { openCompiler, type PolicyInput } from '../compile/compile.ts';
import { evaluateSide } from '../compile/evaluate.ts';
import { type Attached, type Here, openNodeCompiler } from '../compile/node.ts';
import type { Judge } from './why.ts';

/**
 * @param attached whose pods are this node's: their addresses here count, and one that the state lacks is closed.
 * @param node with all addresses that its kernel has: what it sends to its own pods passes.
 * @param concerned addresses whose policies will be asked.
 */
export function* openJudge(
  state: PolicyInput,
  attached: readonly Attached[],
  node: Here,
  concerned: ReadonlySet<Ip>,
): Slices<Judge> {
  const local = new Set(attached.flatMap(({ ips }) => ips));
  const here = yield* openNodeCompiler().compile(state, attached, node);
  const isElsewhere = [...concerned].some((ip) => !local.has(ip));
  const elsewhere = isElsewhere
    ? yield* openCompiler().compile(
        state,
        state.pods.filter(({ podIPs }) => podIPs.some((ip) => concerned.has(ip))),
      )
    : here;
  return (direction, leg, protocol) => {
    const own = direction === 'egress' ? leg.source : leg.destination;
    return evaluateSide(local.has(own) ? here : elsewhere, direction, { ...leg, protocol });
  };
}
