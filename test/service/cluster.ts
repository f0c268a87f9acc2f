/** Small clusters written by hand, as the API would give them. */
import { parseIp } from '../../src/base/ip/ip.ts';
import { createDecider, type ServiceDecision, type ServiceFlow } from '../../src/plan/service/decide.ts';
import { planServices, type ServicesInput } from '../../src/plan/service/plan.ts';
import type { ServiceTable } from '../../src/plan/service/table.ts';
import type { RawEndpoint, RawService, RawSlice } from './oracle.ts';
import { fateOf, inputOf, NODE } from './worlds.ts';

/** An endpoint in a word: `10.244.1.2`, `10.244.1.2@node-1`, with `!ready`, `!serving`, `ending`, `zone-a`, `for:node-1`. */
export function endpoint(words: string): RawEndpoint {
  const [where = '', ...others] = words.split(' ');
  const [ip = '', node] = where.split('@');
  const zones = others.filter((word) => word.startsWith('zone-')).map((name) => ({ name }));
  const nodes = others.filter((word) => word.startsWith('for:')).map((word) => ({ name: word.slice(4) }));
  const ending = others.includes('ending');
  return {
    addresses: [ip],
    ...(node === undefined ? {} : { nodeName: node }),
    conditions: {
      ready: !ending && !others.includes('!ready'),
      serving: !others.includes('!serving') && (ending || !others.includes('!ready')),
      terminating: ending,
    },
    ...(zones.length + nodes.length === 0
      ? {}
      : {
          hints: {
            ...(zones.length === 0 ? {} : { forZones: zones }),
            ...(nodes.length === 0 ? {} : { forNodes: nodes }),
          },
        }),
  };
}

export function service(
  name: string,
  spec: Partial<RawService['spec']>,
  status?: RawService['status'],
): RawService {
  return {
    metadata: { namespace: 'default', name },
    spec: { type: 'ClusterIP', ports: [{ name: 'p', port: 80 }], ...spec },
    ...(status === undefined ? {} : { status }),
  };
}

export function slice(of: string, endpoints: readonly string[], ports?: RawSlice['ports']): RawSlice {
  return {
    metadata: {
      namespace: 'default',
      name: `${of}-0${endpoints.join('-').replaceAll(/[^a-z0-9]/g, '')}`.slice(0, 60),
      labels: { 'kubernetes.io/service-name': of },
    },
    addressType: endpoints.some((words) => words.split(/[@ ]/)[0]!.includes(':')) ? 'IPv6' : 'IPv4',
    ports: ports ?? [{ name: 'p', port: 8080 }],
    endpoints: endpoints.map(endpoint),
  };
}

export type Cluster = {
  table: ServiceTable;
  decide: (flow: Partial<ServiceFlow> | string) => ServiceDecision;
};

export function cluster(
  services: readonly RawService[],
  slices: readonly RawSlice[],
  more: Partial<ServicesInput> = {},
): Cluster {
  const world = {
    services: [...services],
    slices: [...slices],
    node: { ...NODE },
    serviceRanges: ['172.30.0.0/16', 'fd00:10:96::/112'],
  };
  const table = planServices({ ...inputOf(world), ...more });
  const decide = createDecider(table);
  return {
    table,
    decide: (flow) => decide(typeof flow === 'string' ? parseFlow(flow) : (flow as ServiceFlow)),
  };
}

/** `pod 10.244.1.2 > 172.30.0.41:80`, with `/UDP` behind the port. */
export function parseFlow(text: string): ServiceFlow {
  const [from = '', source = '', , target = ''] = text.split(' ');
  const [where = '', protocol = 'TCP'] = target.split('/');
  const at = where.lastIndexOf(':');
  return {
    from: from as ServiceFlow['from'],
    source: parseIp(source),
    destination: parseIp(where.slice(0, at).replaceAll(/[[\]]/g, '')),
    port: Number(where.slice(at + 1)),
    protocol: protocol as ServiceFlow['protocol'],
  };
}

/** In a line: `10.244.1.2:8080, 10.244.2.2:8080 seen by the node`, `reject`, `drop`, `not a service`. */
export function tell(decision: ServiceDecision): string {
  const fate = fateOf(decision);
  if (typeof fate === 'string') return fate;
  return [...fate.endpoints]
    .map(([where, sees]) => `${where.replace(' ', ':')}${sees === 'node' ? ' masqueraded' : ''}`)
    .toSorted()
    .join(', ');
}
