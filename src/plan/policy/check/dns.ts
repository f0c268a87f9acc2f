/** Egress that lets pods ask no name server. */
import { cidrContains } from '../../../base/ip/cidr.ts';
import { hasNetwork } from '../compile/population.ts';
import type { NetworkPolicy, Peer, PolicyPod, PolicyRule } from '../parse/objects.ts';
import { meets } from '../parse/selector.ts';
import type { Mistake, Surroundings } from './check.ts';
import { podsOf } from './selected.ts';
import { isWithin } from './within.ts';

const DNS_PORT = 53;
const DNS_LABELS = new Set(['kube-dns', 'node-local-dns']);

export function findMissingDns(policy: NetworkPolicy, around: Surroundings): Mistake[] {
  const { egress = [], namespace } = policy;
  if (egress.length === 0) return [];
  const servers = around.pods.filter((pod) => hasNetwork(pod) && isNameServer(pod));
  const isAllowed = isAllowedBy(policy, around, (rule) => allowsDns(rule, namespace, servers, around));
  if (!isAllowed)
    return [
      {
        mistake: 'no-dns',
        text: 'isolates egress and allows no DNS (port 53): names are not resolved; allow UDP and TCP 53 to the pods of the name server, here or in a policy for all pods of the namespace',
      },
    ];
  // What listens at an address of the node is no pod to a policy, and asking it is egress.
  const onNode = around.pods.find((pod) => pod.hostNetwork && isNameServer(pod));
  if (onNode === undefined || isAllowedBy(policy, around, allowsNodeDns)) return [];
  return [
    {
      mistake: 'no-dns',
      text: `isolates egress and allows DNS (port 53) to pods alone, while ${onNode.namespace}/${onNode.name} answers it in the network of the node: where pods ask that one, allow UDP and TCP 53 to its address by an ipBlock (169.254.20.10/32 by default)`,
    },
  ];
}

/** By the policy, or another one that counts for all its pods. */
function isAllowedBy(
  policy: NetworkPolicy,
  around: Surroundings,
  allowsRule: (rule: PolicyRule) => boolean,
): boolean {
  const { egress = [], namespace } = policy;
  const allows = (rules: readonly PolicyRule[]) => rules.some(allowsRule);
  if (allows(egress)) return true;
  const own = podsOf(policy, namespace, around);
  const others = around.policies.filter(
    (other) =>
      other.namespace === namespace &&
      (policy.staged || !other.staged) &&
      allows(other.egress ?? []) &&
      (isWithin(policy.pods, other.pods) ||
        (own.length > 0 && own.every(({ labels }) => meets(labels, other.pods)))),
  );
  const labels = around.namespaces.find(({ name }) => name === namespace)?.labels ?? {};
  const overriding = around.clusterPolicies.filter(
    ({ tier, staged, subject, egress: rules }) =>
      tier === 'admin' &&
      (policy.staged || !staged) &&
      meets(labels, subject.namespaces) &&
      isWithin(policy.pods, subject.pods) &&
      allows(rules.filter(({ action }) => action === 'accept')),
  );
  return others.length + overriding.length > 0;
}

/** Which address it listens at is not known: any range may have been meant for it. */
function allowsNodeDns({ peers, ports }: PolicyRule): boolean {
  const named = ports?.some(
    ({ protocol, port, endPort }) =>
      protocol === 'UDP' && (typeof port !== 'number' || (port <= DNS_PORT && DNS_PORT <= (endPort ?? port))),
  );
  return named !== false && (peers === undefined || peers.some(({ kind }) => kind !== 'pods'));
}

function isNameServer(pod: PolicyPod): boolean {
  return (
    DNS_LABELS.has(pod.labels['k8s-app'] ?? '') ||
    pod.ports.some(({ protocol, port }) => protocol === 'UDP' && port === DNS_PORT)
  );
}

function allowsDns(
  { peers, ports }: PolicyRule,
  namespace: string,
  servers: readonly PolicyPod[],
  around: Surroundings,
): boolean {
  const numbers = [
    DNS_PORT,
    ...servers.flatMap((pod) =>
      pod.ports.flatMap(({ port, protocol }) => (protocol === 'UDP' ? [port] : [])),
    ),
  ];
  const named = ports?.some(
    ({ protocol, port, endPort }) =>
      protocol === 'UDP' &&
      (typeof port !== 'number' || numbers.some((one) => port <= one && one <= (endPort ?? port))),
  );
  if (named === false) return false;
  // A rule that names the port means it; one that names no port may have meant others alone.
  return (
    named === true ||
    peers === undefined ||
    peers.some((peer) => mayBeServer(peer, namespace, servers, around))
  );
}

function mayBeServer(
  peer: Peer,
  namespace: string,
  servers: readonly PolicyPod[],
  around: Surroundings,
): boolean {
  if (peer.kind === 'nodes') return false;
  if (servers.length === 0) return peer.kind === 'block' || peer.namespaces !== undefined;
  if (peer.kind === 'block')
    return servers.some(
      ({ podIPs }) => podIPs.length === 0 || podIPs.some((ip) => cidrContains(peer.cidr, ip)),
    );
  const meant = new Set(podsOf(peer, namespace, around));
  return servers.some((server) => meant.has(server));
}
