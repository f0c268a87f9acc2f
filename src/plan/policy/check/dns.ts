/** Egress that lets pods ask no name server. */
import { cidrContains } from '../../../base/ip/cidr.ts';
import { hasNetwork } from '../compile/population.ts';
import type { NetworkPolicy, Peer, PolicyPod, PolicyRule } from '../parse/objects.ts';
import { meets } from '../parse/selector.ts';
import type { Mistake, Surroundings } from './check.ts';
import { podsOf } from './selected.ts';
import { isWithin } from './within.ts';

const DNS_PORT = 53;

export function findMissingDns(policy: NetworkPolicy, around: Surroundings): Mistake[] {
  const { egress = [], namespace } = policy;
  const servers = around.pods.filter(isNameServer);
  const allows = (rules: readonly PolicyRule[]) =>
    rules.some((rule) => allowsDns(rule, namespace, servers, around));
  if (egress.length === 0 || allows(egress)) return [];
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
  if (others.length + overriding.length > 0) return [];
  return [
    {
      mistake: 'no-dns',
      text: 'isolates egress and allows no DNS (port 53): names are not resolved; allow UDP and TCP 53 to the pods of the name server, here or in a policy for all pods of the namespace',
    },
  ];
}

function isNameServer(pod: PolicyPod): boolean {
  return (
    hasNetwork(pod) &&
    (pod.labels['k8s-app'] === 'kube-dns' ||
      pod.ports.some(({ protocol, port }) => protocol === 'UDP' && port === DNS_PORT))
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
  // Whoever names the port thought of it; who names no port may have thought of others alone.
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
