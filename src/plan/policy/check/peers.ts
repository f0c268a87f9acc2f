/** Peers that mean none, or others than they seem to. */
import { cidrContains, cidrPrefixLength } from '../../../base/ip/cidr.ts';
import { familyBits, ipFamily } from '../../../base/ip/ip.ts';
import { hasNetwork } from '../compile/population.ts';
import { DIRECTIONS, type Peer, type PodPeer } from '../parse/objects.ts';
import { meets } from '../parse/selector.ts';
import type { Checked, Mistake, Surroundings } from './check.ts';
import { describeMiss, withCure } from './miss.ts';
import { podsOf } from './selected.ts';

export function findPeerMistakes(policy: Checked, around: Surroundings): Mistake[] {
  return DIRECTIONS.flatMap((direction) =>
    (policy[direction] ?? []).flatMap(({ peers = [] }, index) => {
      const field = `${direction}[${index}].${direction === 'ingress' ? 'from' : 'to'}`;
      return peers.flatMap((peer, number): Mistake[] => {
        const at = `${field}[${number}]`;
        if (peer.kind === 'block') return findPodAddress(peer, at, around);
        if (peer.kind !== 'pods') return [];
        const separate = findSeparateItems(peers, number, field, policy.namespace, around);
        return separate.length > 0 ? separate : findEmptyPeer(peer, at, policy.namespace, around);
      });
    }),
  );
}

function findEmptyPeer(
  peer: PodPeer,
  at: string,
  namespace: string | undefined,
  around: Surroundings,
): Mistake[] {
  const within = podsOf({ ...peer, pods: [] }, namespace, around);
  // Of unknown namespaces nothing can be said.
  if (!around.complete && (within.length === 0 || peer.namespaces !== undefined)) return [];
  const meant = within.filter(({ labels }) => meets(labels, peer.pods));
  if (meant.some(hasNetwork)) return [];
  const fail = (text: string): Mistake[] => [{ mistake: 'peer-selects-nothing', text: `${at} ${text}` }];
  if (meant.some(({ hostNetwork }) => hostNetwork))
    return fail(
      'means pods in the network of their node alone, whose packets carry its address; write the addresses of the nodes as ranges',
    );
  if (within.length > 0)
    return fail(
      `means no pod: ${withCure(
        describeMiss(
          peer.pods,
          within.map(({ labels }) => labels),
        ),
        'correct podSelector',
      )}`,
    );
  // What will be there is rightly meant before.
  if (peer.namespaces === undefined)
    return peer.pods.length === 0 ? [] : fail(`means no pod: namespace ${namespace} has none`);
  const labels = around.namespaces.map((one) => one.labels);
  if (labels.some((one) => meets(one, peer.namespaces!)))
    return peer.pods.length === 0
      ? []
      : fail('means namespaces that have no pods; correct namespaceSelector');
  return fail(
    `means no namespace: ${withCure(describeMiss(peer.namespaces, labels), 'correct namespaceSelector')}`,
  );
}

/**
 * Written as two items of a list, namespaces and pods are two peers: either is enough. Meant as one where the pods are
 * in those namespaces, and none in the policy's own.
 */
function findSeparateItems(
  peers: readonly Peer[],
  number: number,
  field: string,
  namespace: string | undefined,
  around: Surroundings,
): Mistake[] {
  const [wide, own] = [peers[number - 1], peers[number]];
  if (wide?.kind !== 'pods' || own?.kind !== 'pods') return [];
  if ((wide.namespaces ?? []).length === 0 || wide.pods.length > 0 || own.namespaces !== undefined) return [];
  if (podsOf(own, namespace, around).length > 0) return [];
  if (podsOf({ namespaces: wide.namespaces!, pods: own.pods }, namespace, around).length === 0) return [];
  return [
    {
      mistake: 'separate-items',
      text: `${field}[${number - 1}] means every pod of those namespaces, and ${field}[${number}] pods of namespace ${namespace}, which has none such; to mean these pods of those namespaces, write both selectors in one item, without a dash before podSelector`,
    },
  ];
}

function findPodAddress(
  { cidr }: Extract<Peer, { kind: 'block' }>,
  at: string,
  { pods }: Surroundings,
): Mistake[] {
  const isOne = (ip: PolicyIp) =>
    cidrPrefixLength(cidr) === familyBits(ipFamily(ip)) && cidrContains(cidr, ip);
  const pod = pods.find((one) => hasNetwork(one) && one.podIPs.some(isOne));
  if (pod === undefined) return [];
  return [
    {
      mistake: 'pod-address',
      text: `${at} is the address of pod ${pod.namespace}/${pod.name}, which another pod may have tomorrow; select the pod by its labels`,
    },
  ];
}

type PolicyIp = Surroundings['pods'][number]['podIPs'][number];
