/** Directions that are closed or open without anybody having meant it: name lookups, policyTypes, empty rules. */
import { cidrContains } from '../../ip/cidr.ts';
import { type Fields, fieldAt, fieldsAt, listAt } from '../../kube/kinds/fields.ts';
import {
  DIRECTIONS,
  type NetworkPolicy,
  type Peer,
  type PolicyPod,
  type PolicyRule,
  type Selector,
} from '../objects.ts';
import { hasNetwork } from '../population.ts';
import { meets } from '../selector.ts';
import type { Mistake, Surroundings } from './check.ts';
import { podsOf } from './selected.ts';

const DNS_PORT = 53;

export function findDirectionMistakes(
  policy: NetworkPolicy,
  written: Fields,
  around: Surroundings,
): Mistake[] {
  const spec = fieldsAt(written, 'spec');
  return [
    ...findTypeMistakes(policy, spec),
    ...findMissingDns(policy, around),
    ...DIRECTIONS.flatMap((direction) => findOpenRules(policy[direction] ?? [], direction)),
  ];
}

function findTypeMistakes({ ingress, egress }: NetworkPolicy, spec: Fields): Mistake[] {
  const found: Mistake[] = [];
  for (const [direction, type] of [
    ['ingress', 'Ingress'],
    ['egress', 'Egress'],
  ] as const) {
    if (listAt(spec, direction).length > 0 && (direction === 'ingress' ? ingress : egress) === undefined)
      found.push({
        mistake: 'ignored-rules',
        text: `has ${direction} rules, and policyTypes without ${type}: they are ignored; add ${type} to policyTypes, or remove them`,
      });
  }
  // Whoever writes an empty list means it.
  const isUnsaid = (direction: string) => fieldAt(spec, direction) === undefined;
  if ((ingress ?? []).length > 0 && egress?.length === 0 && isUnsaid('egress'))
    found.push({
      mistake: 'closed-direction',
      text: 'allows some ingress and no egress at all, since policyTypes has Egress and there are no rules for it; write egress rules, leave Egress out of policyTypes, or say egress: [] if it is meant',
    });
  if ((egress ?? []).length > 0 && ingress?.length === 0 && listAt(spec, 'policyTypes').length === 0)
    found.push({
      mistake: 'closed-direction',
      text: 'allows some egress and no ingress at all: without policyTypes ingress is isolated too; write policyTypes: [Egress], or [Ingress, Egress] if it is meant',
    });
  return found;
}

function findMissingDns(policy: NetworkPolicy, around: Surroundings): Mistake[] {
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

/** Whether whoever meets the narrow selector meets the wide one, as far as their texts tell. */
export function isWithin(narrow: Selector, wide: Selector): boolean {
  return wide.every((requirement) =>
    narrow.some(
      (one) =>
        JSON.stringify(one) === JSON.stringify(requirement) ||
        (one.key === requirement.key &&
          one.operator === 'In' &&
          (requirement.operator === 'Exists' ||
            (requirement.operator === 'In' &&
              one.values.every((value) => requirement.values.includes(value))) ||
            (requirement.operator === 'NotIn' &&
              !one.values.some((value) => requirement.values.includes(value))))),
    ),
  );
}

/** An empty rule allows everything: alone it is meant, beside others it is a slip of indentation. */
function findOpenRules(rules: readonly PolicyRule[], direction: string): Mistake[] {
  const open = rules.findIndex(({ peers, ports }) => peers === undefined && ports === undefined);
  if (open < 0 || rules.length === 1) return [];
  return [
    {
      mistake: 'open-rule',
      text: `${direction}[${open}] is an empty rule, which allows everything: the other ${direction} rules add nothing; remove it, or them`,
    },
  ];
}
