/** Pods of which policies say the same, so that a cluster of thousands is a table of a few lines. */
import { nameOf } from './clause.ts';
import { type Compiled, compile, type PolicyInput } from './compile.ts';
import type { PolicyPod } from './objects.ts';
import { hasNetwork, type Identity } from './population.ts';

export type Crowd = { identity: Identity; pods: readonly PolicyPod[] };

/** Those that have an address. */
export function crowdsOf({ pods }: PolicyInput, { population }: Compiled): Crowd[] {
  const crowds = new Map<Identity, PolicyPod[]>();
  for (const pod of pods) {
    const identity = hasNetwork(pod) && pod.podIPs.length > 0 ? population.identityOf(pod) : undefined;
    if (identity === undefined || identity.ips.length === 0) continue;
    const known = crowds.get(identity);
    if (known === undefined) crowds.set(identity, [pod]);
    else known.push(pod);
  }
  return [...crowds].map(([identity, own]) => ({ identity, pods: own }));
}

/** `shop/web-1`, or `shop/web-1 and 4 like it`. */
export function describeCrowd({ pods }: Crowd): string {
  const [first] = pods;
  return pods.length === 1 ? nameOf(first!) : `${nameOf(first!)} and ${pods.length - 1} like it`;
}

/** As many pods of every identity as there are, each with an address: what is not known of any is nobody's. */
export function compileAll(input: PolicyInput): { compiled: Compiled; crowds: Crowd[] } {
  const compiled = compile(input);
  return { compiled, crowds: crowdsOf(input, compiled) };
}
