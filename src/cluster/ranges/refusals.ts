/** Why pods cannot get addresses from ranges, or nodes no ranges: each a cause to count and a sentence to act on. */
import { type Cidr, cidrFamily } from '../../base/ip/cidr.ts';
import type { IpFamily } from '../../base/ip/ip.ts';
import type { Route } from '../../edge/netlink/objects.ts';
import type { ClusterNode } from '../../plan/node/cluster-node.ts';
import { conflictingRoute, describeRoute } from '../../plan/overlay/foreign-routes.ts';
import type { Accepted, RefusedRange } from './acceptance.ts';
import { planRanges } from './plan.ts';

export type RangeRefusal = {
  cause: RefusedRange['cause'] | 'route' | 'exhausted';
  node: string;
  reason: string;
};

export type RangeInput = {
  /** Of this node. */
  name: string;
  /** All nodes, as the cluster has them. */
  nodes: readonly ClusterNode[];
  accepted: Accepted;
  podNetwork: readonly Cidr[];
  serviceNetwork: readonly Cidr[];
  prefixLengths: Readonly<Record<IpFamily, number>>;
  /** Whether Fairlead gives nodes their ranges. */
  assigns: boolean;
  /** Routes of others on this node, see {@link foreignRoutes}. */
  foreign: readonly Route[];
  /** Names of interfaces, by their index. */
  linkNames: ReadonlyMap<number, string>;
};

export function judgeRanges(input: RangeInput): RangeRefusal[] {
  const { name, nodes, accepted, podNetwork, serviceNetwork, prefixLengths, assigns } = input;
  const waiting = nodes.filter((node) => node.name === name && node.podCidrs.length === 0);
  // Few nodes wait at a time, and the plan looks at all of them.
  const exhausted =
    assigns && waiting.length > 0
      ? planRanges(nodes, waiting, podNetwork, prefixLengths, serviceNetwork).problems
      : [];
  return [
    ...accepted.refused.map(({ cause, node, reason }) => ({ cause, node, reason })),
    ...(input.foreign.length === 0 ? [] : accepted.nodes.flatMap((node) => conflictsOf(node, input))),
    ...exhausted.map((reason) => ({ cause: 'exhausted' as const, node: name, reason })),
  ];
}

function conflictsOf(node: ClusterNode, { foreign, linkNames }: RangeInput): RangeRefusal[] {
  return node.podCidrs.flatMap((range) => {
    const route = conflictingRoute(
      range,
      foreign.filter(({ destination }) => cidrFamily(destination) === cidrFamily(range)),
    );
    return route === undefined
      ? []
      : [
          {
            cause: 'route' as const,
            node: node.name,
            reason:
              `range ${range} of node ${node.name} is also where a route of this machine leads that is not Fairlead's: ${describeRoute(route, linkNames)}; ` +
              'take that route away, or give the node another range',
          },
        ];
  });
}
