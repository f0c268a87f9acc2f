/** Connections that were seen lately, and would end otherwise if policies were others. */
import type { Compiled } from '../compile/compile.ts';
import { evaluate, type Flow, type FlowVerdict } from '../compile/evaluate.ts';

export type FlowChange = Flow & {
  before: 'allowed' | 'denied';
  after: 'allowed' | 'denied';
  because: string;
};

/** One line for each source, destination and port, however often it was seen. */
export function changedFlows(before: Compiled, after: Compiled, flows: Iterable<Flow>): FlowChange[] {
  const seen = new Map<string, FlowChange>();
  for (const flow of flows) {
    const key = `${flow.protocol} ${flow.source} ${flow.destination} ${flow.port}`;
    if (seen.has(key)) continue;
    const [was, is] = [evaluate(before, flow), evaluate(after, flow)];
    if (was.allowed === is.allowed) continue;
    seen.set(key, { ...flow, before: wordOf(was), after: wordOf(is), because: reasonOf(is, was) });
  }
  return [...seen.values()];
}

function wordOf({ allowed }: FlowVerdict): 'allowed' | 'denied' {
  return allowed ? 'allowed' : 'denied';
}

/** Of what denies it, now or until now. */
function reasonOf(is: FlowVerdict, was: FlowVerdict): string {
  const { egress, ingress } = is.allowed ? was : is;
  const { because } = egress.allowed ? ingress : egress;
  return is.allowed ? `no longer so: ${because}` : because;
}
