/** Who is meant at one end of a connection: by address, or by the name of a pod, node or service. */
import { nearestName } from '../../../base/errors/nearest.ts';
import { type Ip, isIp, parseIp } from '../../../base/ip/ip.ts';
import { nameOf } from '../compile/clause.ts';
import type { PolicyInput } from '../compile/compile.ts';
import { hasNetwork } from '../compile/population.ts';
import type { PolicyService, Protocol } from '../parse/objects.ts';
import { findPod } from './find-pod.ts';

/** At most one of the names is there. */
export type End = {
  ip: Ip;
  /** `namespace/name`. */
  pod?: string;
  node?: string;
  /** Where the pod runs, as far as that is known, or which node it is. */
  on?: string;
  /** Of a destination: where it is asked, behind a service too. */
  port?: number | undefined;
};

/** Services are known where they were asked for: undefined, or why they could not be read. */
export type Known = PolicyInput & { services?: readonly PolicyService[] | { problem: string } };

/** Whether the text is no pod and no node: then services have to be known. */
export function mayBeService({ pods, nodes }: PolicyInput, text: string): boolean {
  if (isIp(text)) {
    const ip = parseIp(text);
    return ![...pods.map(({ podIPs }) => podIPs), ...nodes.map(({ ips }) => ips)].some((ips) =>
      ips.includes(ip),
    );
  }
  return !/^nodes?\//.test(text) && !pods.some((pod) => nameOf(pod) === qualify(text));
}

/** @throws Error with the cure. */
export function findEnds({ pods, nodes }: PolicyInput, text: string): End[] {
  if (isIp(text)) return [endAt({ pods, nodes }, parseIp(text))];
  const node = /^nodes?\/(.+)$/.exec(text)?.[1];
  if (node !== undefined) {
    const found = nodes.find(({ name }) => name === node);
    const nearest = nearestName(
      node,
      nodes.map(({ name }) => name),
    );
    if (found === undefined)
      throw new Error(`there is no node ${node}${nearest === undefined ? '' : `; did you mean ${nearest}?`}`);
    return found.ips.map((ip) => ({ ip, node, on: node }));
  }
  const pod = findPod(pods, text);
  if (pod.podIPs.length === 0) throw new Error(`pod ${nameOf(pod)} has no address yet; wait until it runs`);
  return pod.podIPs.map((ip) => ({ ip, pod: nameOf(pod), ...placeOf(pod) }));
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
  { pods }: Known,
  service: PolicyService,
  protocol: Protocol,
  port: number | undefined,
): { port: number; ends: (End & { port: number })[] } {
  const name = `service ${nameOf(service)}`;
  const [first, ...others] = service.ports;
  const known = service.ports.map((one) => `${one.protocol} ${one.port}`).join(', ') || 'none';
  if (port === undefined && others.length > 0) throw new Error(`port: ${name} has ${known}; name one`);
  const meant =
    port === undefined ? first : service.ports.find((one) => one.port === port && one.protocol === protocol);
  if (meant === undefined)
    throw new Error(
      `port: ${name} has no port ${protocol} ${port ?? ''}; it has ${known}`.replace(' ;', ';'),
    );
  const { selector, namespace } = service;
  if (selector === undefined)
    throw new Error(`${name} has no selector: ask about one of its endpoints, whose address policies see`);
  const behind = pods.filter(
    (pod) =>
      pod.namespace === namespace &&
      pod.phase !== 'Succeeded' &&
      pod.phase !== 'Failed' &&
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
    return pod.podIPs.map((ip) => ({ ip, pod: nameOf(pod), port: own, ...placeOf(pod) }));
  });
  if (ends.length === 0)
    throw new Error(
      `${name} leads nowhere: no pod that runs has its labels and the port; look at its selector`,
    );
  return { port: meant.port, ends };
}

function endAt({ pods, nodes }: Pick<PolicyInput, 'pods' | 'nodes'>, ip: Ip): End {
  const pod = pods.find((one) => hasNetwork(one) && one.podIPs.includes(ip));
  if (pod !== undefined) return { ip, pod: nameOf(pod), ...placeOf(pod) };
  const node = nodes.find(({ ips }) => ips.includes(ip))?.name;
  return node === undefined ? { ip } : { ip, node, on: node };
}

function placeOf({ nodeName }: { nodeName?: string }): { on?: string } {
  return nodeName === undefined || nodeName === '' ? {} : { on: nodeName };
}

function qualify(name: string): string {
  return name.includes('/') ? name : `default/${name}`;
}
