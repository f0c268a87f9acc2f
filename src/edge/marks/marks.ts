/** The marks by which Fairlead knows what is its own in the kernel; whatever lacks them is never touched. */

/** rtm_protocol and fra_protocol of every route and rule (a free number of /etc/iproute2/rt_protos). */
export const ROUTE_PROTOCOL = 70;
/** Metric of every route: another's route to the same destination keeps its own place beside ours. */
export const ROUTE_METRIC = 70;
/** The table of routes for packets from pods to nodes behind the tunnel, and the priority of the rule to it. */
export const TUNNEL_TABLE = 7010;
export const TUNNEL_RULE_PRIORITY = 7010;
/** The VXLAN devices over an IPv4 and an IPv6 underlay. */
export const VXLAN_LINKS = { 4: 'fl-vxlan', 6: 'fl-vxlan6' } as const;

/** Whether a link is a tunnel of ours. By its name: agents of earlier versions, which may come back, know no other mark. */
export function isTunnelLink({ name }: { name: string }): boolean {
  return Object.values<string>(VXLAN_LINKS).includes(name);
}
