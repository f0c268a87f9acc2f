/** Whether a packet that begins a connection passes, and who says so, without the kernel. */
import { cidrContains } from '../ip/cidr.ts';
import type { Ip } from '../ip/ip.ts';
import type { Grant } from './allowance.ts';
import type { Compiled, CompiledPod } from './compile.ts';
import type { Direction, Protocol } from './objects.ts';

export type Flow = {
  source: Ip;
  destination: Ip;
  /** Of other protocols, as ICMP, only rules without ports allow. */
  protocol: Protocol | 'ICMP';
  /** Destination's; of no meaning for ICMP. */
  port?: number;
};

export type SideVerdict = {
  allowed: boolean;
  /** One sentence. */
  because: string;
};

export type FlowVerdict = { allowed: boolean } & Record<Direction, SideVerdict>;

export function evaluate(compiled: Compiled, flow: Flow): FlowVerdict {
  const find = (ip: Ip) => compiled.pods.find(({ pod }) => pod.podIPs.includes(ip));
  // A pod that talks to itself meets no policy: nothing leaves it.
  if (flow.source === flow.destination) {
    const itself = { allowed: true, because: 'a pod always reaches itself' };
    return { allowed: true, egress: itself, ingress: itself };
  }
  const egress = judge(find(flow.source), 'egress', flow.destination, flow);
  const ingress = judge(find(flow.destination), 'ingress', flow.source, flow);
  return { allowed: egress.allowed && ingress.allowed, egress, ingress };
}

function judge(side: CompiledPod | undefined, direction: Direction, other: Ip, flow: Flow): SideVerdict {
  const isolation = side?.[direction];
  if (side === undefined || isolation === undefined)
    return {
      allowed: true,
      because: `no policy isolates the ${direction === 'egress' ? 'source' : 'destination'} for ${direction}`,
    };
  const grant = isolation.grants.find((candidate) => permits(candidate, other, flow));
  const name = `${side.pod.namespace}/${side.pod.name}`;
  if (grant !== undefined) return { allowed: true, because: `${grant.origin} allows it to pod ${name}` };
  return {
    allowed: false,
    because: `pod ${name} is isolated for ${direction} by ${isolation.policies.join(', ')}, and none of their rules allows it`,
  };
}

export function permits({ peers, ports }: Grant, other: Ip, { protocol, port }: Flow): boolean {
  const meant = peers === undefined || peers.some((range) => cidrContains(range, other));
  if (!meant) return false;
  if (ports === undefined) return true;
  return (
    port !== undefined &&
    ports.some((range) => range.protocol === protocol && port >= range.first && port <= range.last)
  );
}
