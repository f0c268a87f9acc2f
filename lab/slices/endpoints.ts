/** The endpoints of a service with a selector, from the pods that it selects. Source: KEP-752, and discovery.k8s.io/v1 as documented. */
import { ipFamily, isIp, parseIp } from '../../src/base/ip/ip.ts';
import { FAMILY_NAMES, type FamilyName } from '../api/service/families.ts';
import { type ApiObject, at, type Fields, listAt, textAt } from '../api/storage/object.ts';

/** What may lie in one slice: addresses of one type, with the same ports. */
export type EndpointGroup = {
  addressType: FamilyName;
  ports: readonly Fields[];
  endpoints: readonly Fields[];
};

/**
 * For each family of the service at least one group, empty where nothing is selected.
 * @param pods those that it selects.
 * @param zones of the nodes that are in one.
 */
export function endpointGroups(
  service: ApiObject,
  pods: readonly ApiObject[],
  zones: ReadonlyMap<string, string>,
): EndpointGroup[] {
  return listAt(service, 'spec', 'ipFamilies').flatMap((family): EndpointGroup[] => {
    const addressType: FamilyName = family === 'IPv6' ? 'IPv6' : 'IPv4';
    const found = pods.filter(hasEndpoint).flatMap((pod) => {
      const ip = addressOf(pod, addressType);
      if (ip === undefined) return [];
      return [{ ports: portsOf(service, pod), endpoint: endpointOf(service, pod, ip, zones) }];
    });
    const groups = [...Map.groupBy(found, ({ ports }) => JSON.stringify(ports)).values()].map(
      (members): EndpointGroup => ({
        addressType,
        ports: members[0]!.ports,
        endpoints: members.map(({ endpoint }) => endpoint),
      }),
    );
    return groups.length > 0 ? groups : [{ addressType, ports: [], endpoints: [] }];
  });
}

/** One that has ended answers no more; one that is ending still may. */
function hasEndpoint(pod: ApiObject): boolean {
  return !['Succeeded', 'Failed'].includes(textAt(pod, 'status', 'phase'));
}

function addressOf(pod: ApiObject, family: string): string | undefined {
  const ips = listAt(pod, 'status', 'podIPs').map((entry) => textAt(entry, 'ip'));
  return ips.find((ip) => isIp(ip) && FAMILY_NAMES[ipFamily(parseIp(ip))] === family);
}

/** A named port is where the pod has it; one that it has not is left out. */
function portsOf(service: ApiObject, pod: ApiObject): Fields[] {
  return listAt(service, 'spec', 'ports').flatMap((port): Fields[] => {
    const [name, protocol, appProtocol] = ['name', 'protocol', 'appProtocol'].map((field) =>
      textAt(port, field),
    );
    const target = at(port, 'targetPort') ?? at(port, 'port');
    const number = typeof target === 'number' ? target : namedPort(pod, String(target), protocol!);
    if (number === undefined) return [];
    return [{ name, protocol, port: number, ...(appProtocol === '' ? {} : { appProtocol }) }];
  });
}

function namedPort(pod: ApiObject, name: string, protocol: string): number | undefined {
  const sidecars = listAt(pod, 'spec', 'initContainers').filter(
    (container) => textAt(container, 'restartPolicy') === 'Always',
  );
  const port = [...listAt(pod, 'spec', 'containers'), ...sidecars]
    .flatMap((container) => listAt(container, 'ports'))
    .find((one) => textAt(one, 'name') === name && (textAt(one, 'protocol') || 'TCP') === protocol);
  return port === undefined ? undefined : Number(at(port, 'containerPort'));
}

function endpointOf(
  service: ApiObject,
  pod: ApiObject,
  ip: string,
  zones: ReadonlyMap<string, string>,
): Fields {
  const { name, namespace, uid, deletionTimestamp } = pod.metadata;
  const nodeName = textAt(pod, 'spec', 'nodeName');
  const zone = zones.get(nodeName);
  const terminating = deletionTimestamp !== undefined;
  const serving = isReady(pod);
  const ready = at(service, 'spec', 'publishNotReadyAddresses') === true || (serving && !terminating);
  const hostname = textAt(pod, 'spec', 'hostname');
  const isNamed = hostname !== '' && textAt(pod, 'spec', 'subdomain') === service.metadata.name;
  return {
    addresses: [ip],
    conditions: { ready, serving, terminating },
    ...(isNamed ? { hostname } : {}),
    targetRef: { kind: 'Pod', namespace, name, uid },
    ...(nodeName === '' ? {} : { nodeName }),
    ...(zone === undefined ? {} : { zone }),
    ...(ready ? hintsOf(textAt(service, 'spec', 'trafficDistribution'), nodeName, zone) : {}),
  };
}

function isReady(pod: ApiObject): boolean {
  return listAt(pod, 'status', 'conditions').some(
    (condition) => textAt(condition, 'type') === 'Ready' && textAt(condition, 'status') === 'True',
  );
}

/** Who prefers its node falls back to its zone. */
function hintsOf(distribution: string, nodeName: string, zone: string | undefined): Fields {
  const forZones = zone === undefined ? {} : { forZones: [{ name: zone }] };
  const forNodes = nodeName === '' ? {} : { forNodes: [{ name: nodeName }] };
  const hints =
    distribution === 'PreferSameNode'
      ? { ...forNodes, ...forZones }
      : ['PreferClose', 'PreferSameZone'].includes(distribution)
        ? forZones
        : {};
  return Object.keys(hints).length > 0 ? { hints } : {};
}
