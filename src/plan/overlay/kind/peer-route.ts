/** Routes to peers, of whatever kind. */

import { type Cidr, cidrFamily } from '../../../base/ip/cidr.ts';
import { ROUTE_METRIC, ROUTE_PROTOCOL } from '../../../edge/marks/marks.ts';
import { MAIN_TABLE, type Route, SCOPE_UNIVERSE } from '../../../edge/netlink/objects.ts';
import type { OverlayInput } from '../plan.ts';

/** The node's own packets to its peers' pods carry the address by which the cluster knows the node. */
export function peerRoute({ underlays }: OverlayInput, destination: Cidr, linkIndex: number): Route {
  const source = underlays.find(({ family }) => family === cidrFamily(destination))?.address;
  return {
    destination,
    table: MAIN_TABLE,
    protocol: ROUTE_PROTOCOL,
    type: 'unicast',
    scope: SCOPE_UNIVERSE,
    linkIndex,
    metric: ROUTE_METRIC,
    ...(source === undefined ? {} : { source }),
  };
}
