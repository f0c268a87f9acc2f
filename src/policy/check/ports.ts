/** Names of ports that nobody has. */
import { nearestName } from '../../config/nearest.ts';
import { DIRECTIONS, type NetworkPolicy, type Peer, type PolicyPod } from '../objects.ts';
import { hasNetwork } from '../population.ts';
import { meets } from '../selector.ts';
import type { Finding, Surroundings } from './check.ts';

export function findPortMistakes(policy: NetworkPolicy, around: Surroundings): Omit<Finding, 'policy'>[] {
  if (around.pods.length === 0) return [];
  return DIRECTIONS.flatMap((direction) =>
    (policy[direction] ?? []).flatMap(({ peers, ports = [] }, index) =>
      ports.flatMap(({ port, protocol }, number) => {
        if (typeof port !== 'string') return [];
        const reached = direction === 'ingress' ? selected(policy, around) : meant(policy, peers, around);
        const known = reached.flatMap((pod) => pod.ports);
        if (reached.length === 0 || known.some((one) => one.name === port && one.protocol === protocol))
          return [];
        const at = `${direction}[${index}].ports[${number}]`;
        const other = known.find(({ name }) => name === port);
        if (other !== undefined)
          return [
            {
              mistake: 'port-protocol',
              text: `${at}: ${port} is a port of ${other.protocol} there, not of ${protocol}; write protocol: ${other.protocol}`,
            },
          ];
        const nearest = nearestName(
          port,
          known.map(({ name }) => name),
        );
        return [
          {
            mistake: 'port-name',
            text: `${at}: none of the pods that are reached has a port called ${port}${nearest === undefined ? '; name it in their containers, or write its number' : `; did you mean ${nearest}?`}`,
          },
        ];
      }),
    ),
  );
}

function selected({ namespace, pods: selector }: NetworkPolicy, { pods }: Surroundings): PolicyPod[] {
  return pods.filter((pod) => pod.namespace === namespace && hasNetwork(pod) && meets(pod.labels, selector));
}

function meant(
  { namespace }: NetworkPolicy,
  peers: readonly Peer[] | undefined,
  { pods, namespaces }: Surroundings,
): PolicyPod[] {
  const labelsOf = new Map(namespaces.map(({ name, labels }) => [name, labels]));
  return pods.filter(
    (pod) =>
      hasNetwork(pod) &&
      (peers === undefined ||
        peers.some(
          (peer) =>
            peer.kind === 'pods' &&
            meets(pod.labels, peer.pods) &&
            (peer.namespaces === undefined
              ? pod.namespace === namespace
              : meets(labelsOf.get(pod.namespace) ?? {}, peer.namespaces)),
        )),
  );
}
