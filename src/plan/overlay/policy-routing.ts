/**
 * Rules of others that come before the main table, where the routes to pods are, and lead packets for pods elsewhere. No
 * rule of ours stands against them: each would cost every packet of the node its lookup.
 */
import { type Cidr, cidrContains, cidrFamily, cidrsOverlap } from '../../base/ip/cidr.ts';
import { type Ip, ipFamily } from '../../base/ip/ip.ts';
import { ROUTE_PROTOCOL } from '../../edge/marks/marks.ts';
import { MAIN_TABLE, type Route, type Rule } from '../../edge/netlink/objects.ts';

const LOCAL_TABLE = 255;

export type PolicyRoutingInput = {
  podNetwork: readonly Cidr[];
  /** Addresses of this node, whose own packets may have rules of their own. */
  localIps: readonly Ip[];
  /** Names of the links by which packets for pods come: the underlay's, the tunnels. The node's own come by `lo`. */
  inputLinks: readonly string[];
};

/** In their order those of one family that packets for pods meet before the main table; marked packets aside. */
export function rulesBeforeMain(rules: readonly Rule[], input: PolicyRoutingInput): Rule[] {
  return ([4, 6] as const).flatMap((family) => {
    const own = rules.filter((rule) => rule.family === family).toSorted((a, b) => a.priority - b.priority);
    const main = own.findIndex((rule) => rule.table === MAIN_TABLE && meetsAll(rule));
    return own
      .slice(0, main < 0 ? own.length : main)
      .filter((rule) => rule.table !== LOCAL_TABLE && rule.table !== MAIN_TABLE)
      .filter((rule) => rule.protocol !== ROUTE_PROTOCOL && meetsPods(rule, input));
  });
}

/**
 * The first route of a rule's table that takes packets for pods.
 * @param routes of all tables. @param ours indexes of links of our own, which lead where they shall.
 */
export function findDiversion(
  rule: Rule,
  routes: readonly Route[],
  { podNetwork }: PolicyRoutingInput,
  ours: ReadonlySet<number>,
): Route | undefined {
  return routes.find(
    ({ table, type, destination, linkIndex, protocol }) =>
      table === rule.table &&
      type !== 'other' &&
      protocol !== ROUTE_PROTOCOL &&
      !ours.has(linkIndex ?? 0) &&
      podNetwork.some((range) => cidrFamily(range) === rule.family && meet(range, destination)),
  );
}

/** @param names of links by their index. */
export function describeDiversion(
  rule: Rule,
  route: Route,
  podNetwork: readonly Cidr[],
  names: ReadonlyMap<number, string>,
): string {
  const ip = rule.family === 4 ? 'ip' : 'ip -6';
  const range = podNetwork.find((candidate) => cidrFamily(candidate) === rule.family)!;
  const via = route.gateway === undefined ? '' : ` via ${route.gateway}`;
  const dev = route.linkIndex === undefined ? '' : ` dev ${names.get(route.linkIndex) ?? route.linkIndex}`;
  return (
    `the rule ${rule.priority} “${describeSelector(rule)} lookup ${rule.table}” comes before the main table, and its ` +
    `route ${route.type === 'unicast' ? '' : `${route.type} `}${route.destination}${via}${dev} takes packets for pods elsewhere: ` +
    `take one of them away, or let ${range} pass by “${ip} rule add to ${range} lookup main priority ${Math.max(1, rule.priority - 1)}”`
  );
}

function describeSelector({ from, to, inputLink }: Rule): string {
  return [
    `from ${from ?? 'all'}`,
    ...(to === undefined ? [] : [`to ${to}`]),
    ...(inputLink === undefined ? [] : [`iif ${inputLink}`]),
  ].join(' ');
}

function meetsAll({ from, to, inputLink, fwmark, inverted }: Rule): boolean {
  return [from, to, inputLink, fwmark].every((selector) => selector === undefined) && inverted !== true;
}

/** A rule that is inverted meets what it names not: nearly everything. */
function meetsPods(
  { family, from, to, inputLink, fwmark, inverted }: Rule,
  input: PolicyRoutingInput,
): boolean {
  if (inverted === true) return true;
  const ranges = input.podNetwork.filter((range) => cidrFamily(range) === family);
  const sources = input.localIps.filter((ip) => ipFamily(ip) === family);
  const isOurs = inputLink === undefined || inputLink === 'lo' || input.inputLinks.includes(inputLink);
  const fromOurs =
    from === undefined ||
    ranges.some((range) => cidrsOverlap(range, from)) ||
    sources.some((ip) => cidrContains(from, ip));
  return (
    fwmark === undefined && isOurs && fromOurs && ranges.some((range) => to === undefined || meet(range, to))
  );
}

function meet(range: Cidr, other: Cidr): boolean {
  return cidrFamily(range) === cidrFamily(other) && cidrsOverlap(range, other);
}
