/** Who is at one end of a line of a matrix or a diff: data, of which texts are made. */
import type { Ip, IpFamily } from '../../../base/ip/ip.ts';
import { nameOf } from '../compile/clause.ts';
import type { PolicyPod } from '../parse/objects.ts';

export type Party =
  /** Pods that policies do not tell apart; the first stands for all. */
  | { kind: 'pods'; pod: string; count: number; namespaces: number }
  /** Of no pod: a range in prefix notation, or as `first-last`. */
  | { kind: 'addresses'; family: IpFamily; range: string }
  /** All of the family that no pod has, but for those that other lines name. */
  | { kind: 'other-addresses'; family: IpFamily; isAll: boolean }
  /** `addresses` where policies tell them apart. */
  | { kind: 'own-node'; addresses?: readonly Ip[] };

export function partyOf(pods: readonly PolicyPod[]): Party {
  const namespaces = new Set(pods.map(({ namespace }) => namespace)).size;
  return { kind: 'pods', pod: nameOf(pods[0]!), count: pods.length, namespaces };
}

/** `shop/web-1`, `shop/web-1 and 4 like it`, `shop/web-1 and 90 like it in 12 namespaces`. */
export function formatParty(party: Party): string {
  switch (party.kind) {
    case 'pods': {
      const { pod, count, namespaces } = party;
      const where = namespaces === 1 ? '' : ` in ${namespaces} namespaces`;
      return count === 1 ? pod : `${pod} and ${count - 1} like it${where}`;
    }
    case 'addresses':
      return party.range;
    case 'other-addresses':
      return `${party.isAll ? 'addresses of no pod' : 'other addresses'}, IPv${party.family}`;
    case 'own-node':
      return party.addresses === undefined ? 'its own node' : `its own node by ${party.addresses.join(', ')}`;
  }
}
