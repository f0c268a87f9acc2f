/** Pods that policies do not tell apart, so that a cluster of thousands is a table of a few lines. */
import { ipFamily } from '../../../base/ip/ip.ts';
import { nameOf } from '../compile/clause.ts';
import type { Compiled } from '../compile/compile.ts';
import type { Identity } from '../compile/population.ts';
import type { Ruling } from '../compile/ruling.ts';
import { segmentAt, segmentsOf } from '../compile/segments.ts';
import { DIRECTIONS, type PolicyPod } from '../parse/objects.ts';

export type Crowd = {
  /** `shop/web-1`, `shop/web-1 and 4 like it`, `shop/web-1 and 90 like it in 12 namespaces`. */
  name: string;
  /** At least one, each with an address; whichever stands for all. */
  pods: readonly PolicyPod[];
};

/**
 * @param several sets of policies, all compiled of these pods: those are alike that none of the sets tells apart, neither
 * by what is said about them, nor by who means them, by labels, address or named port.
 */
export function crowdsOf(pods: readonly PolicyPod[], several: readonly Compiled[]): Crowd[] {
  const readers = several.map(openReader);
  const crowds = new Map<string, PolicyPod[]>();
  for (const pod of pods) {
    const keys = readers.map((read) => read(pod));
    if (pod.podIPs.length === 0 || keys.includes(undefined)) continue;
    const key = keys.join('\n');
    const known = crowds.get(key);
    if (known === undefined) crowds.set(key, [pod]);
    else known.push(pod);
  }
  return [...crowds.values()].map((alike) => ({ name: describePods(alike), pods: alike }));
}

/** As the name of a {@link Crowd}. */
export function describePods(pods: readonly PolicyPod[]): string {
  const [first] = pods;
  if (pods.length === 1) return nameOf(first!);
  const namespaces = new Set(pods.map(({ namespace }) => namespace)).size;
  const where = namespaces === 1 ? '' : ` in ${namespaces} namespaces`;
  return `${nameOf(first!)} and ${pods.length - 1} like it${where}`;
}

/** @returns a function to what the policies know of a pod; undefined where it has no address of its own. */
function openReader({ pods, population }: Compiled): (pod: PolicyPod) => string | undefined {
  const said = new Map<Identity, { ingress?: Ruling; egress?: Ruling }>();
  for (const one of pods) said.set(population.identityOf(one.pod)!, one);
  const rulings = [...new Set([...said.values()].flatMap((one) => DIRECTIONS.map((way) => one[way])))];
  const clauses = rulings.flatMap((ruling) => ruling?.clauses ?? []);
  const selections = [...new Set(clauses.flatMap(({ who }) => who?.selections ?? []))];
  const meanings = new Map<Identity, number[]>();
  selections.forEach(({ identities }, number) => {
    for (const identity of identities) {
      const known = meanings.get(identity);
      if (known === undefined) meanings.set(identity, [number]);
      else known.push(number);
    }
  });
  const blocks = new Map(
    clauses.flatMap(({ who }) => (who?.blocks ?? []).map((block) => [JSON.stringify(block), block])),
  );
  const numbered = [...blocks.values()].map((block, number) => ({ ...block, number }));
  const segments = { 4: segmentsOf(numbered, 4), 6: segmentsOf(numbered, 6) };
  const names = new Set(clauses.flatMap(({ ports }) => (ports?.names ?? []).map(({ name }) => name)));
  const ofIdentity = new Map<Identity, string>();
  const describe = (identity: Identity): string => {
    let text = ofIdentity.get(identity);
    if (text === undefined) {
      const { ingress, egress } = said.get(identity) ?? {};
      const ports = identity.ports.filter(({ name }) => names.has(name));
      text = JSON.stringify([ingress?.key, egress?.key, meanings.get(identity), ports]);
      ofIdentity.set(identity, text);
    }
    return text;
  };
  return (pod) => {
    const identity = population.identityOf(pod);
    // An address that two pods claim is the other one's.
    if (identity === undefined || pod.podIPs.some((ip) => population.identityAt(ip) !== identity))
      return undefined;
    const places = pod.podIPs.map((ip) => {
      const family = ipFamily(ip);
      return [family, segmentAt(segments[family], ip)?.numbers];
    });
    return describe(identity) + JSON.stringify(places);
  };
}
