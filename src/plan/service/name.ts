/** How services, and what they claim, are called. */
import type { Ip } from '../../base/ip/ip.ts';
import type { ServiceObject } from './objects.ts';

/** `default/web`. */
export function nameOf({ namespace, name }: Pick<ServiceObject, 'namespace' | 'name'>): string {
  return `${namespace}/${name}`;
}

/** What can be claimed once: `10.96.0.1 TCP 80`, and for NodePorts ` TCP 30080`. */
export function claimKey(ip: Ip | undefined, protocol: string, port: number): string {
  return `${ip ?? ''} ${protocol} ${port}`;
}
