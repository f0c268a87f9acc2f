/** Peers that mean nobody, or others than they seem to. */
import { cidrContains, cidrPrefixLength } from '../../ip/cidr.ts';
import { DIRECTIONS, type NetworkPolicy, type PodPeer, type PolicyRule } from '../objects.ts';
import { hasNetwork } from '../population.ts';
import { meets } from '../selector.ts';
import type { Finding, Surroundings } from './check.ts';

export function findPeerMistakes(policy: NetworkPolicy, around: Surroundings): Omit<Finding, 'policy'>[] {
  return DIRECTIONS.flatMap((direction) =>
    (policy[direction] ?? []).flatMap((rule, index) => {
      const side = direction === 'ingress' ? 'from' : 'to';
      return [
        ...findEmptyPeers(policy, rule, `${direction}[${index}].${side}`, around),
        ...findSeparateItems(rule, `${direction}[${index}].${side}`),
        ...findPodAddresses(rule, `${direction}[${index}].${side}`, around),
      ];
    }),
  );
}

function findEmptyPeers(
  policy: NetworkPolicy,
  { peers = [] }: PolicyRule,
  field: string,
  { pods, namespaces }: Surroundings,
): Omit<Finding, 'policy'>[] {
  if (pods.length === 0) return [];
  const labelsOf = new Map(namespaces.map(({ name, labels }) => [name, labels]));
  return peers.flatMap((peer, number) => {
    if (peer.kind !== 'pods') return [];
    const at = `${field}[${number}]`;
    const inside = pods.filter(({ namespace }) => isWithin(peer, namespace));
    if (inside.length === 0)
      return [
        {
          mistake: 'peer-selects-nothing',
          text: `${at} means no namespace that has pods; correct namespaceSelector (kubernetes.io/metadata.name is on every namespace)`,
        },
      ];
    if (inside.some((pod) => hasNetwork(pod) && meets(pod.labels, peer.pods))) return [];
    return [{ mistake: 'peer-selects-nothing', text: `${at} means no pod; correct podSelector` }];
  });

  function isWithin({ namespaces: selector }: PodPeer, namespace: string): boolean {
    return selector === undefined
      ? namespace === policy.namespace
      : meets(labelsOf.get(namespace) ?? {}, selector);
  }
}

/** Written as two items of a list, a namespace and a pod are two peers: either is enough. */
function findSeparateItems({ peers = [] }: PolicyRule, field: string): Omit<Finding, 'policy'>[] {
  const wide = peers.findIndex(
    (peer) =>
      peer.kind === 'pods' &&
      peer.namespaces !== undefined &&
      peer.namespaces.length > 0 &&
      peer.pods.length === 0,
  );
  const own = peers.findIndex((peer) => peer.kind === 'pods' && peer.namespaces === undefined);
  if (wide < 0 || own !== wide + 1) return [];
  return [
    {
      mistake: 'separate-items',
      text: `${field}[${wide}] means every pod of those namespaces, and ${field}[${own}] pods of the policy's own: where pods of the other namespaces were meant, write both selectors in one item, without a dash before podSelector`,
    },
  ];
}

function findPodAddresses(
  { peers = [] }: PolicyRule,
  field: string,
  { pods }: Surroundings,
): Omit<Finding, 'policy'>[] {
  return peers.flatMap((peer, number) => {
    if (peer.kind !== 'block' || cidrPrefixLength(peer.cidr) < 32) return [];
    const pod = pods.find((one) => hasNetwork(one) && one.podIPs.some((ip) => cidrContains(peer.cidr, ip)));
    if (pod === undefined || (peer.cidr.includes(':') && cidrPrefixLength(peer.cidr) < 128)) return [];
    return [
      {
        mistake: 'pod-address',
        text: `${field}[${number}].ipBlock is the address of pod ${pod.namespace}/${pod.name}, which another pod may have tomorrow; select the pod by its labels`,
      },
    ];
  });
}
