/** Ports of the nodes that lead to services, and at which load balancers ask: given, refused where taken. */
import type { Cause } from '../request/failure.ts';
import { at, type Fields, fieldsAt, listAt, textAt, withField } from '../storage/object.ts';
import { needsHealthPort, needsNodePorts } from './type.ts';

const FIRST = 30_000;
const LAST = 32_767;
/** Those before it are given last: they are for services that ask for a number. */
const FIRST_GIVEN = 30_086;

/** @param taken ports of other services. */
export function withNodePorts(
  service: Fields,
  before: Fields | undefined,
  taken: ReadonlySet<number>,
): Fields | Cause[] {
  const causes: Cause[] = [];
  const own = new Set<number>();
  const kept = new Set(portsOf(before ?? {}));
  const check = (field: string, port: number) => {
    const refuse = (message: string) => causes.push({ field, message: `Invalid value: ${port}: ${message}` });
    if (kept.has(port)) own.add(port);
    else if (port < FIRST || port > LAST)
      refuse(`provided port is not in the valid range. The range of valid ports is ${FIRST}-${LAST}`);
    else if (taken.has(port)) refuse('provided port is already allocated');
    else own.add(port);
  };
  const ports = listAt(service, 'spec', 'ports').map((port) => fieldsAt({ port }, 'port'));
  for (const [index, port] of ports.entries()) {
    const asked = at(port, 'nodePort');
    if (typeof asked === 'number' && asked !== 0) check(`spec.ports[${index}].nodePort`, asked);
  }
  const health = at(service, 'spec', 'healthCheckNodePort');
  if (typeof health === 'number' && health !== 0) check('spec.healthCheckNodePort', health);
  const give = (field: string): number | undefined => {
    const free = lowestFree((port) => taken.has(port) || own.has(port));
    if (free === undefined)
      causes.push({ field, message: `Internal error: failed to allocate a nodePort: range is full` });
    else own.add(free);
    return free;
  };
  const complete = needsNodePorts(service) ? giveNodePorts(ports, give) : ports;
  let next = ports.length === 0 ? service : withField(service, ['spec', 'ports'], complete);
  if (needsHealthPort(service) && !health)
    next = withField(next, ['spec', 'healthCheckNodePort'], give('spec.healthCheckNodePort'));
  return causes.length > 0 ? causes : next;
}

/** All that a service has. */
export function portsOf(service: Fields): number[] {
  const ports = listAt(service, 'spec', 'ports').map((port) => Number(textAt(port, 'nodePort') || 0));
  return [...ports, Number(textAt(service, 'spec', 'healthCheckNodePort') || 0)].filter((port) => port > 0);
}

/** Ports of one number and several protocols have one number on the nodes too. */
function giveNodePorts(ports: readonly Fields[], give: (field: string) => number | undefined): Fields[] {
  const byPort = new Map<unknown, { nodePort: unknown; protocols: Set<unknown> }>();
  for (const port of ports) if (Number(port['nodePort'] ?? 0) > 0) note(byPort, port);
  return ports.map((port, index) => {
    if (Number(port['nodePort'] ?? 0) > 0) return port;
    const shared = byPort.get(port['port']);
    const nodePort =
      shared !== undefined && !shared.protocols.has(port['protocol'])
        ? shared.nodePort
        : give(`spec.ports[${index}].nodePort`);
    const complete = { ...port, nodePort };
    note(byPort, complete);
    return complete;
  });
}

function note(byPort: Map<unknown, { nodePort: unknown; protocols: Set<unknown> }>, port: Fields): void {
  const { nodePort, protocol } = port;
  const known = byPort.get(port['port']);
  if (known?.nodePort === nodePort) known?.protocols.add(protocol);
  else byPort.set(port['port'], { nodePort, protocols: new Set([protocol]) });
}

function lowestFree(isTaken: (port: number) => boolean): number | undefined {
  for (let port = FIRST_GIVEN; port <= LAST; port++) if (!isTaken(port)) return port;
  for (let port = FIRST; port < FIRST_GIVEN; port++) if (!isTaken(port)) return port;
  return undefined;
}
