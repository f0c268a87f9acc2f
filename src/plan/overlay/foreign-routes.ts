/** Routes of others that lead where pods are, or shall be. */
import {
  type Cidr,
  cidrContainsCidr,
  cidrFamily,
  cidrPrefixLength,
  cidrsOverlap,
} from '../../base/ip/cidr.ts';
import { ROUTE_PROTOCOL } from '../../edge/marks/marks.ts';
import type { Route } from '../../edge/netlink/objects.ts';

/**
 * @param routes of the main table.
 * @param loopback index of the interface that holds the node's own addresses, whose routes the kernel makes.
 */
export function foreignRoutes(
  routes: readonly Route[],
  podNetwork: readonly Cidr[],
  loopback: number,
): Route[] {
  return routes.filter(
    ({ protocol, destination, type, linkIndex }) =>
      protocol !== ROUTE_PROTOCOL &&
      linkIndex !== loopback &&
      type === 'unicast' &&
      cidrPrefixLength(destination) > 0 &&
      podNetwork.some(
        (range) => cidrFamily(range) === cidrFamily(destination) && cidrsOverlap(range, destination),
      ),
  );
}

/**
 * The first route because of which addresses of the range cannot be given to pods: it takes packets away from them, or
 * a network with hosts of these addresses is connected. A wider route through a gateway, as to a company's 10.0.0.0/8,
 * only stands behind ours.
 */
export function conflictingRoute(range: Cidr, foreign: readonly Route[]): Route | undefined {
  return foreign.find(
    ({ destination, gateway }) =>
      cidrFamily(destination) === cidrFamily(range) &&
      (cidrContainsCidr(range, destination) ||
        (gateway === undefined && cidrContainsCidr(destination, range))),
  );
}

/** @param names of interfaces, by their index. */
export function describeRoute(
  { destination, gateway, linkIndex }: Route,
  names: ReadonlyMap<number, string>,
): string {
  const where =
    gateway === undefined
      ? `interface ${names.get(linkIndex ?? 0) ?? String(linkIndex ?? 'none')}`
      : `via ${gateway}`;
  return `${destination} (${where})`;
}
