/** The capability `portMappings`: ports of the node that lead to the pod. */
import { type Ip, ipFamily, isIp, parseIp } from '../../../base/ip/ip.ts';
import { inAnyCase, integerAt, isObject, type JsonObject, listAt, refuseField, textAt } from '../json.ts';

export const PORT_PROTOCOLS = ['tcp', 'udp', 'sctp'] as const;
export type PortProtocol = (typeof PORT_PROTOCOLS)[number];

export type PortMapping = {
  protocol: PortProtocol;
  hostPort: number;
  containerPort: number;
  /** Absent: every address of the node. 0.0.0.0 and :: are every one of their family. */
  hostIp?: Ip;
};

const FIELD = 'runtimeConfig.portMappings';
const PORTS = [1, 65535] as const;

/** What is listed twice counts once. @throws CniError for one port of the node that shall lead to two places. */
export function parsePortMappings(runtimeConfig: JsonObject): PortMapping[] {
  const byPort = new Map<string, PortMapping[]>();
  for (const item of listAt(runtimeConfig, 'portMappings', FIELD)) {
    const mapping = parsePortMapping(item);
    const key = `${mapping.protocol} ${mapping.hostPort}`;
    const rivals = byPort.get(key) ?? [];
    const clash = rivals.find(
      (rival) => rival.containerPort !== mapping.containerPort && overlap(rival.hostIp, mapping.hostIp),
    );
    if (clash !== undefined) {
      throw refuseField(
        FIELD,
        key,
        `it leads to ${clash.containerPort} and to ${mapping.containerPort}; give each hostPort once`,
      );
    }
    if (!rivals.some((rival) => rival.hostIp === mapping.hostIp)) rivals.push(mapping);
    byPort.set(key, rivals);
  }
  return [...byPort.values()].flat();
}

function parsePortMapping(entry: unknown): PortMapping {
  if (!isObject(entry)) throw refuseField(FIELD, entry, 'list objects with hostPort and containerPort');
  const item = inAnyCase(entry, ['hostPort', 'containerPort', 'protocol', 'hostIP']);
  const hostPort = integerAt(item, 'hostPort', PORTS, `${FIELD}.hostPort`);
  const containerPort = integerAt(item, 'containerPort', PORTS, `${FIELD}.containerPort`);
  if (hostPort === undefined || containerPort === undefined)
    throw refuseField(FIELD, item, 'give both hostPort and containerPort');
  const stated = textAt(item, 'protocol', `${FIELD}.protocol`) || 'tcp';
  const protocol = stated.toLowerCase();
  if (!isPortProtocol(protocol))
    throw refuseField(`${FIELD}.protocol`, stated, `write one of ${PORT_PROTOCOLS.join(', ')}`);
  const hostIp = textAt(item, 'hostIP', `${FIELD}.hostIP`) || undefined;
  if (hostIp === undefined) return { protocol, hostPort, containerPort };
  if (!isIp(hostIp))
    throw refuseField(`${FIELD}.hostIP`, hostIp, 'write an address of the node, or leave it out');
  return { protocol, hostPort, containerPort, hostIp: parseIp(hostIp) };
}

export function isPortProtocol(text: string): text is PortProtocol {
  return PORT_PROTOCOLS.some((protocol) => protocol === text);
}

/** Whether one packet can be meant by both. */
export function overlap(a: Ip | undefined, b: Ip | undefined): boolean {
  if (a === undefined || b === undefined || a === b) return true;
  return ipFamily(a) === ipFamily(b) && (isUnspecified(a) || isUnspecified(b));
}

export function isUnspecified(ip: Ip): boolean {
  return ip === '0.0.0.0' || ip === '::';
}
