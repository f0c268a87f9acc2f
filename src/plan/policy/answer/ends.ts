/** What is meant at one end of a connection: by address, or by the name of a pod, node or service. */
import { nearestName } from '../../../base/errors/nearest.ts';
import { type Ip, ipFamily, isIp, parseIp } from '../../../base/ip/ip.ts';
import { nameOf } from '../compile/clause.ts';
import { hasNetwork } from '../compile/population.ts';
import type { PolicyPod, PolicyService, Protocol } from '../parse/objects.ts';
import { findPod } from './find-pod.ts';
import { type Place, type Places, placeOf } from './place.ts';

export type End = {
  ip: Ip;
  place: Place;
  /** Of a destination. */
  port?: number;
};

/** Services are known where they were asked for: undefined, or why they could not be read. */
export type Known = Places & { services?: readonly PolicyService[] | { problem: string } };

/** Whether the text is no pod and no node: then services have to be known. */
export function mayBeService(known: Places, text: string): boolean {
  const { pods, nodes } = known;
  if (isIp(text)) {
    const ip = parseIp(text);
    return ![...pods.map(({ podIPs }) => podIPs), ...nodes.map(({ ips }) => ips)].some((ips) =>
      ips.includes(ip),
    );
  }
  return !/^nodes?\//.test(text) && !pods.some((pod) => nameOf(pod) === qualify(text));
}

/**
 * One end of each family that it has.
 * @param from the node on which packets to it are routed first; where it is a source, any.
 * @throws Error with the cure.
 */
export function findEnds(known: Places, text: string, from: string | undefined): End[] {
  if (isIp(text)) {
    const ip = parseIp(text);
    return [{ ip, place: placeOf(known, ip, from) }];
  }
  const node = /^nodes?\/(.+)$/.exec(text)?.[1];
  if (node !== undefined) return endsOfNode(known, node);
  // What is attached here is there, whether or not the cluster has told of it yet.
  const attached = endsOfAttached(known.local, qualify(text));
  return attached.length > 0 ? attached : endsOfPod(known, findPod(known.pods, text));
}

function endsOfAttached({ node, attached }: Places['local'], name: string): End[] {
  const own = attached.filter(({ pod }) => pod !== undefined && nameOf(pod) === name);
  return onePerFamily(own.flatMap(({ ips }) => ips)).map((ip) => ({
    ip,
    place: { at: 'pod', pod: name, node },
  }));
}

function endsOfNode({ nodes }: Places, name: string): End[] {
  const found = nodes.find((node) => node.name === name);
  const nearest = nearestName(
    name,
    nodes.map((node) => node.name),
  );
  if (found === undefined)
    throw new Error(`there is no node ${name}${nearest === undefined ? '' : `; did you mean ${nearest}?`}`);
  const place = { at: 'node', node: name } as const;
  return onePerFamily([...found.internalIps, ...found.ips]).map((ip) => ({ ip, place }));
}

/** One in the network of its node is the node, to every policy and every packet. */
function endsOfPod({ local, nodes }: Places, pod: PolicyPod): End[] {
  const name = nameOf(pod);
  const node = pod.nodeName === '' ? undefined : pod.nodeName;
  if (pod.hostNetwork) {
    const home = nodes.find((one) => one.name === node);
    const ips = home === undefined ? pod.podIPs : [...home.internalIps, ...home.ips];
    if (node === undefined || ips.length === 0)
      throw new Error(`pod ${name} is in the network of a node, and of none yet; wait until it runs`);
    return onePerFamily(ips).map((ip) => ({ ip, place: { at: 'node', node, pod: name } }));
  }
  if (!hasNetwork(pod)) throw new Error(`pod ${name} has ended (${pod.phase}), and its address is free`);
  if (pod.podIPs.length === 0) throw new Error(`pod ${name} has no address yet; wait until it runs`);
  if (node === local.node)
    throw new Error(`pod ${name} is of node ${node}, and not attached there now; wait until it runs`);
  return pod.podIPs.map((ip) => ({
    ip,
    place: { at: 'pod', pod: name, ...(node === undefined ? {} : { node }) },
  }));
}

/** The service that is meant: `svc/shop/web`, the name where no pod has it, or one of its addresses. */
export function findService(known: Known, text: string): PolicyService | undefined {
  const { services = [] } = known;
  const stated = /^(?:svc|services?)\/(.+)$/.exec(text)?.[1];
  if ('problem' in services) {
    if (stated === undefined) return undefined;
    throw new Error(`${text}: services cannot be read: ${services.problem}`);
  }
  if (isIp(text)) return services.find(({ clusterIPs }) => clusterIPs.includes(parseIp(text)));
  if (stated === undefined && !mayBeService(known, text)) return undefined;
  const name = qualify(stated ?? text);
  const found = services.find((service) => nameOf(service) === name);
  if (found !== undefined || stated === undefined) return found;
  const nearest = nearestName(name, services.map(nameOf));
  throw new Error(
    `there is no service ${name}${nearest === undefined ? '' : `; did you mean svc/${nearest}?`}`,
  );
}

/** @param port of the service; where absent its only one. @throws Error with the cure. */
export function findBackends(
  known: Known,
  service: PolicyService,
  protocol: Protocol,
  port: number | undefined,
): { port: number; ends: (End & { port: number })[] } {
  const name = `service ${nameOf(service)}`;
  const [first, ...others] = service.ports;
  const listed = service.ports.map((one) => `${one.protocol} ${one.port}`).join(', ') || 'none';
  if (port === undefined && others.length > 0) throw new Error(`port: ${name} has ${listed}; name one`);
  const meant =
    port === undefined ? first : service.ports.find((one) => one.port === port && one.protocol === protocol);
  if (meant === undefined)
    throw new Error(
      `port: ${name} has no port ${protocol} ${port ?? ''}; it has ${listed}`.replace(' ;', ';'),
    );
  const { selector, namespace } = service;
  if (selector === undefined)
    throw new Error(`${name} has no selector: ask about one of its endpoints, whose address policies see`);
  const behind = known.pods.filter(
    (pod) =>
      pod.namespace === namespace &&
      pod.phase !== 'Succeeded' &&
      pod.phase !== 'Failed' &&
      pod.podIPs.length > 0 &&
      Object.entries(selector).every(
        ([key, value]) => Object.hasOwn(pod.labels, key) && pod.labels[key] === value,
      ),
  );
  const ends = behind.flatMap((pod) => {
    const { targetPort } = meant;
    const own =
      typeof targetPort === 'number'
        ? targetPort
        : pod.ports.find((one) => one.name === targetPort && one.protocol === meant.protocol)?.port;
    if (own === undefined) return [];
    return pod.podIPs.map((ip) => ({ ip, place: placeOfBackend(pod), port: own }));
  });
  if (ends.length === 0)
    throw new Error(
      `${name} leads nowhere: no pod that runs has its labels and the port; look at its selector`,
    );
  return { port: meant.port, ends };
}

function placeOfBackend(pod: PolicyPod): Place {
  const node = pod.nodeName === undefined || pod.nodeName === '' ? {} : { node: pod.nodeName };
  if (pod.hostNetwork) return { at: 'node', node: node.node ?? '', pod: nameOf(pod) };
  return { at: 'pod', pod: nameOf(pod), ...node };
}

function onePerFamily(ips: readonly Ip[]): Ip[] {
  return ([4, 6] as const).flatMap((family) => ips.find((ip) => ipFamily(ip) === family) ?? []);
}

function qualify(name: string): string {
  return name.includes('/') ? name : `default/${name}`;
}
