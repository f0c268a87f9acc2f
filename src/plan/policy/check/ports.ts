/** Names of ports that no pod has. */
import { nearestName } from '../../../base/errors/nearest.ts';
import { hasNetwork } from '../compile/population.ts';
import { DIRECTIONS, type Peer, type PolicyPod, type PolicyPort } from '../parse/objects.ts';
import type { Checked, Mistake, Surroundings } from './check.ts';
import { podsOf } from './selected.ts';

export function findPortMistakes(
  { namespace, subject, ...policy }: Checked,
  around: Surroundings,
): Mistake[] {
  return DIRECTIONS.flatMap((direction) =>
    (policy[direction] ?? []).flatMap(({ peers, ports = [] }, index) => {
      const named = Map.groupBy(
        ports.filter(({ port }) => typeof port === 'string'),
        ({ port }) => String(port),
      );
      if (named.size === 0) return [];
      const reached = (
        direction === 'ingress' ? podsOf(subject, namespace, around) : meant(peers, namespace, around)
      ).filter(hasNetwork);
      if (reached.length === 0) return [];
      return [...named].flatMap(([name, alike]) =>
        findUnknown(name, alike, reached).map(({ mistake, text }) => ({
          mistake,
          text: `${direction}[${index}].ports: ${text}`,
        })),
      );
    }),
  );
}

/** @param ports of one name; a cluster policy means all protocols by it. */
function findUnknown(name: string, ports: readonly PolicyPort[], reached: readonly PolicyPod[]): Mistake[] {
  const known = reached.flatMap((pod) => pod.ports);
  const missing = ports.filter(
    ({ protocol }) => !known.some((one) => one.name === name && one.protocol === protocol),
  );
  if (missing.length < ports.length || ports.length === 0) return [];
  const other = known.find((one) => one.name === name);
  if (other !== undefined)
    return [
      {
        mistake: 'port-protocol',
        text: `${name} is a port of ${other.protocol} there, not of ${missing[0]!.protocol}; write protocol: ${other.protocol}`,
      },
    ];
  const nearest = nearestName(
    name,
    known.map((one) => one.name),
  );
  const cure =
    nearest === undefined ? 'name it in their containers, or write its number' : `did you mean ${nearest}?`;
  return [
    { mistake: 'port-name', text: `none of the pods that are reached has a port called ${name}; ${cure}` },
  ];
}

/** Whom an egress rule reaches, as far as that is known: none where it means others too. */
function meant(
  peers: readonly Peer[] | undefined,
  namespace: string | undefined,
  around: Surroundings,
): readonly PolicyPod[] {
  if (!around.complete) return [];
  if (peers === undefined) return around.pods;
  const selected = peers.map((peer) => (peer.kind === 'pods' ? podsOf(peer, namespace, around) : []));
  return peers.every(({ kind }) => kind === 'pods') ? selected.flat() : [];
}
