/** Rules of cluster policies that never decide, because another one is asked first, and orders left to chance. */
import { cidrContainsCidr } from '../../../base/ip/cidr.ts';
import {
  type ClusterPolicy,
  DIRECTIONS,
  type Peer,
  type PolicyPort,
  type TierRule,
} from '../parse/objects.ts';
import type { Mistake, Surroundings } from './check.ts';
import { isWithin } from './within.ts';

export function findOrderMistakes(policy: ClusterPolicy, { clusterPolicies }: Surroundings): Mistake[] {
  const tier = clusterPolicies.filter((other) => other.tier === policy.tier && other.name !== policy.name);
  const twins = tier.filter(({ priority }) => priority === policy.priority);
  const same = twins.map(
    ({ name, priority }): Mistake => ({
      mistake: 'same-priority',
      text: `has priority ${priority} in its tier as ${name} has: their order is that of their names here, and open elsewhere; give each its own`,
    }),
  );
  const earlier = tier.filter(
    (other) =>
      (!other.staged || policy.staged) &&
      (other.priority < policy.priority ||
        (other.priority === policy.priority && other.name < policy.name)) &&
      isWithin(policy.subject.namespaces, other.subject.namespaces) &&
      isWithin(policy.subject.pods, other.subject.pods),
  );
  const shadowed = DIRECTIONS.flatMap((direction) =>
    policy[direction].flatMap((rule, index): Mistake[] => {
      const before = [
        ...earlier.flatMap((other) =>
          other[direction].map((one, number) => ({ one, at: `${other.name} ${direction}[${number}]` })),
        ),
        ...policy[direction].slice(0, index).map((one, number) => ({ one, at: `${direction}[${number}]` })),
      ];
      const cover = before.find(({ one }) => covers(one, rule));
      if (cover === undefined) return [];
      return [
        {
          mistake: 'shadowed',
          text: `${direction}[${index}] never decides: ${cover.at} is asked first, and means all that it means; put it before, or remove it`,
        },
      ];
    }),
  );
  return [...same, ...shadowed];
}

/** As far as their texts tell. */
function covers(wide: TierRule, narrow: TierRule): boolean {
  return (
    (wide.peers === undefined ||
      (narrow.peers?.every((peer) => wide.peers!.some((other) => coversPeer(other, peer))) ?? false)) &&
    (wide.ports === undefined ||
      (narrow.ports?.every((port) => wide.ports!.some((other) => coversPort(other, port))) ?? false))
  );
}

function coversPeer(wide: Peer, narrow: Peer): boolean {
  if (wide.kind === 'pods' && narrow.kind === 'pods')
    return isWithin(narrow.namespaces ?? [], wide.namespaces ?? []) && isWithin(narrow.pods, wide.pods);
  if (wide.kind === 'block' && narrow.kind === 'block') return cidrContainsCidr(wide.cidr, narrow.cidr);
  return wide.kind === 'nodes' && narrow.kind === 'nodes' && isWithin(narrow.nodes, wide.nodes);
}

function coversPort(wide: PolicyPort, narrow: PolicyPort): boolean {
  if (wide.protocol !== narrow.protocol) return false;
  if (wide.port === undefined) return true;
  if (typeof wide.port !== 'number' || typeof narrow.port !== 'number') return wide.port === narrow.port;
  return wide.port <= narrow.port && (narrow.endPort ?? narrow.port) <= (wide.endPort ?? wide.port);
}
