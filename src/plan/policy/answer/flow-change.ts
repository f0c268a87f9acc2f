/** Connections that were seen lately, and would end otherwise if policies were others. */

import { type FlowRecord, type Reason, ruledProtocol, type Verdict } from '../../flow/flow-record.ts';
import type { Compiled } from '../compile/compile.ts';
import { evaluate, type FlowVerdict } from '../compile/evaluate.ts';

/** The record says what it would be; its reason is that of what denies it, now or until now. */
export type FlowChange = FlowRecord & { before: Verdict; reason: Reason };

/** One line for each source, destination and port, however often it was seen. */
export function changedFlows(before: Compiled, after: Compiled, flows: Iterable<FlowRecord>): FlowChange[] {
  const seen = new Map<string, FlowChange>();
  for (const record of flows) {
    const { family, source, destination, port, sourcePod, destinationPod } = record;
    const protocol = ruledProtocol(record);
    const key = `${protocol} ${source} ${destination} ${port}`;
    if (seen.has(key)) continue;
    const flow = { source, destination, protocol, ...(protocol === 'ICMP' ? {} : { port: port! }) };
    const [was, is] = [evaluate(before, flow), evaluate(after, flow)];
    if (was.allowed === is.allowed) continue;
    seen.set(key, {
      family,
      ...flow,
      ...(sourcePod === undefined ? {} : { sourcePod }),
      ...(destinationPod === undefined ? {} : { destinationPod }),
      before: wordOf(was),
      verdict: wordOf(is),
      ...deciding(is.allowed ? was : is),
    });
  }
  return [...seen.values()];
}

function wordOf({ allowed }: FlowVerdict): Verdict {
  return allowed ? 'allowed' : 'denied';
}

function deciding({ egress, ingress }: FlowVerdict): Pick<FlowChange, 'direction' | 'policies' | 'reason'> {
  const direction = egress.allowed ? 'ingress' : 'egress';
  const { policies, reason } = direction === 'egress' ? egress : ingress;
  return { direction, policies, reason };
}
