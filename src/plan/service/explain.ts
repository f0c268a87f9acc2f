/** A service in words: where it is reached, and of each endpoint whether connections go there, or why not. */
import { type IpFamily, ipFamily } from '../../base/ip/ip.ts';
import { type Candidate, candidatesOf, type ServiceNode } from './endpoints.ts';
import { nameOf } from './name.ts';
import type { ServiceObject, ServicePort, SliceObject } from './objects.ts';
import type { Frontend, ListName, PlannedPort, PlannedService, Way } from './table.ts';

export type ExplainedService = {
  name: string;
  /** Present where no node serves it, and then alone. */
  notServed?: string;
  ports: readonly ExplainedPort[];
  problems: readonly string[];
};

export type ExplainedPort = {
  /** `http 80/TCP over IPv4`. */
  what: string;
  addresses: readonly { address: string; leads: string }[];
  endpoints: readonly { endpoint: string; where: string; state: string }[];
  affinity?: string;
};

/** @param planned absent where it is not served. */
export function explainService(
  service: ServiceObject,
  slices: readonly SliceObject[],
  planned: PlannedService | undefined,
  node: ServiceNode,
): ExplainedService {
  const name = nameOf(service);
  if (service.notServed !== undefined || planned === undefined)
    return {
      name,
      notServed: service.notServed ?? 'it is not known here yet',
      ports: [],
      problems: [],
    };
  return {
    name,
    ports: planned.ports.map((port) => explainPort(slices, port, node)),
    problems: [...planned.problems, ...otherFamilies(service, slices, planned)],
  };
}

function explainPort(slices: readonly SliceObject[], port: PlannedPort, node: ServiceNode): ExplainedPort {
  const { name, protocol, port: number, family, frontends, affinitySeconds } = port;
  const candidates = candidatesOf(slices, family, port satisfies Pick<ServicePort, 'name'>, node);
  return {
    what: `${name === '' ? '' : `${name} `}${number}/${protocol} over IPv${family}`,
    addresses: frontends.map((frontend) => ({ address: addressOf(frontend), leads: leadsOf(frontend) })),
    endpoints: candidates.map((candidate) => ({
      endpoint: family === 6 ? `[${candidate.ip}]:${candidate.port}` : `${candidate.ip}:${candidate.port}`,
      where: candidate.local ? 'this node' : 'elsewhere',
      state: stateOf(candidate, port, node),
    })),
    ...(affinitySeconds === undefined
      ? {}
      : { affinity: `a client keeps its endpoint for ${affinitySeconds} s` }),
  };
}

function addressOf({ ip, port, kind }: Frontend): string {
  if (ip === undefined) return `node port ${port}`;
  const where = ipFamily(ip) === 6 ? `[${ip}]:${port}` : `${ip}:${port}`;
  const names = { clusterIP: '', externalIP: ' (external)', loadBalancer: ' (load balancer)', nodePort: '' };
  return `${where}${names[kind]}`;
}

function leadsOf({ inside, outside, sourceRanges }: Frontend): string {
  const [here, there] = [wayOf(inside), wayOf(outside)];
  const guarded =
    sourceRanges === undefined ? '' : `; only from ${sourceRanges.join(', ') || 'no source at all'}`;
  return `${here === there ? here : `${here} from here, ${there} from outside`}${guarded}`;
}

function wayOf(way: Way): string {
  if ('list' in way)
    return way.list === 'cluster' ? 'to endpoints of all nodes' : 'to endpoints of this node';
  return `${way.refused === 'reject' ? 'refused' : 'dropped'}: ${way.why}`;
}

/** The lists that lead somewhere are those of the frontends. */
function stateOf(candidate: Candidate, { lists, frontends }: PlannedPort, { zone }: ServiceNode): string {
  const isIn = (list: ListName) =>
    lists[list].some(({ ip, port }) => ip === candidate.ip && port === candidate.port);
  const used = new Set(
    frontends.flatMap(({ inside, outside }) =>
      [inside, outside].flatMap((way) => ('list' in way ? way.list : [])),
    ),
  );
  const inLists = [...used].filter(isIn);
  const { ready, serving, terminating, forNodes, forZones } = candidate;
  if (inLists.length > 0) {
    const partly =
      inLists.length < used.size
        ? ` (${inLists[0] === 'local' ? 'by policy Local' : 'by policy Cluster'} alone)`
        : '';
    return `${ready ? 'used' : 'used while it ends, since none is ready'}${partly}`;
  }
  if (terminating) return serving ? 'ends; others are ready' : 'ends, and serves no more';
  if (!ready) return 'not ready';
  if (!candidate.local && !used.has('cluster')) return 'not on this node, as policy Local asks';
  const hinted = [
    ...(forNodes.length > 0 ? [`nodes ${forNodes.join(', ')}`] : []),
    ...(forZones.length > 0 ? [`zones ${forZones.join(', ')}`] : []),
  ];
  return hinted.length > 0
    ? `hinted to ${hinted.join(' and ')}${zone === undefined ? '' : `; this is ${zone}`}`
    : 'left out';
}

function otherFamilies(
  service: ServiceObject,
  slices: readonly SliceObject[],
  { ports }: PlannedService,
): string[] {
  const served = new Set<IpFamily | undefined>(ports.map(({ family }) => family));
  return slices
    .filter(({ family, endpoints }) => !served.has(family) && endpoints.length > 0)
    .map(({ name, family, endpoints }) =>
      family === undefined
        ? `slice ${name} holds names, which no node serves`
        : `slice ${name} has ${endpoints.length} endpoints of IPv${family}, of which service ${service.name} has no address`,
    );
}

/** For a terminal. */
export function formatService({ name, notServed, ports, problems }: ExplainedService): string {
  if (notServed !== undefined) return `${name}: not served: ${notServed}\n`;
  const lines = ports.flatMap(({ what, addresses, endpoints, affinity }) => [
    `  ${what}`,
    ...aligned(addresses.map(({ address, leads }) => [address, leads])),
    ...(affinity === undefined ? [] : [`    ${affinity}`]),
    ...(endpoints.length === 0
      ? ['    no endpoints']
      : aligned(endpoints.map(({ endpoint, where, state }) => [`→ ${endpoint}`, where, state]))),
  ]);
  return `${[name, ...lines, ...problems.map((problem) => `  problem: ${problem}`)].join('\n')}\n`;
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]!.length))) ?? [];
  return rows.map(
    (row) =>
      `    ${row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd()}`,
  );
}
