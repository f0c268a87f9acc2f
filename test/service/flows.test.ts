/** Where connections to services go, flow by flow: from pods, the node and outside, to each kind of address, by both policies. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ServicesInput } from '../../src/plan/service/plan.ts';
import { cluster, service, slice, tell } from './cluster.ts';
import type { RawService, RawSlice } from './oracle.ts';

const [HERE, THERE] = ['10.244.1.2', '10.244.2.2'];
const POD = `pod 10.244.1.3 >`;
const HOST = `node 192.168.1.2 >`;
const OUT = `outside 198.51.100.7 >`;
const NODE_IP = '192.168.1.2';

/** A service with every kind of address; `n` is in all of them. */
function everywhere(n: number, spec: Partial<RawService['spec']>): RawService {
  return service(
    `svc${n}`,
    {
      type: 'LoadBalancer',
      clusterIP: `172.30.0.${n}`,
      ports: [{ name: 'p', port: 80, nodePort: 30_000 + n }],
      externalIPs: [`203.0.113.${n}`],
      ...spec,
    },
    { loadBalancer: { ingress: [{ ip: `203.0.113.${100 + n}` }] } },
  );
}

type Row = [what: string, flow: string, result: string];

function check(
  name: string,
  services: RawService[],
  slices: RawSlice[],
  rows: Row[],
  more: Partial<ServicesInput> = {},
) {
  describe(name, () => {
    const { decide } = cluster(services, slices, more);
    for (const [what, flow, result] of rows)
      test(`${what}: ${flow}`, () => assert.equal(tell(decide(flow)), result));
  });
}

const BOTH = [`${HERE}@node-1`, `${THERE}@node-2`];
const to = (list: string, masqueraded = false) =>
  list
    .split(' ')
    .map((ip) => `${ip}:8080${masqueraded ? ' masqueraded' : ''}`)
    .join(', ');
const ANY = `${HERE} ${THERE}`;

/** 27 flows: three services, nine ways to each; in four settings: masqueradeAll or not, in each family. */
function masqueradeRows(all: boolean): Row[] {
  const clusterRows = (n: number, what: string, inside: string): Row[] => [
    [`pod to ClusterIP, ${what}`, `${POD} 172.30.0.${n}:80`, to(inside, all)],
    [`node to ClusterIP, ${what}`, `${HOST} 172.30.0.${n}:80`, to(inside, true)],
    [`outside to ClusterIP, ${what}`, `${OUT} 172.30.0.${n}:80`, to(inside, true)],
  ];
  const externalRows = (n: number, what: string, local: boolean): Row[] =>
    [
      ['NodePort', `${NODE_IP}:${30_000 + n}`],
      ['load balancer', `203.0.113.${100 + n}:80`],
    ].flatMap(([kind, address]): Row[] => [
      [`pod to ${kind}, ${what}`, `${POD} ${address}`, to(ANY, !local)],
      [`node to ${kind}, ${what}`, `${HOST} ${address}`, to(ANY, true)],
      [`outside to ${kind}, ${what}`, `${OUT} ${address}`, local ? to(HERE) : to(ANY, true)],
    ]);
  return [
    ...clusterRows(1, 'policies Cluster', ANY),
    ...externalRows(1, 'policies Cluster', false),
    ...clusterRows(2, 'external policy Local', ANY),
    ...externalRows(2, 'external policy Local', true),
    ...clusterRows(3, 'internal policy Local', HERE),
    ...externalRows(3, 'internal policy Local', false),
  ];
}

const V6: Record<string, string> = {
  [HERE]: 'fd00:10:244:1::2',
  [THERE]: 'fd00:10:244:2::2',
  '10.244.1.3': 'fd00:10:244:1::3',
  [NODE_IP]: 'fd00:192:168::2',
  '198.51.100.7': 'fd00:198:51::7',
};

/** The same in IPv6. */
function inV6(text: string): string {
  const address = (ip: string) =>
    V6[ip] ??
    ip.replace(/^172\.30\.0\.(\d+)$/, 'fd00:10:96::$1').replace(/^203\.0\.113\.(\d+)$/, 'fd00:203::$1');
  return text.replaceAll(/(\d+\.\d+\.\d+\.\d+)(:\d+)?/g, (_, ip: string, port?: string) =>
    port === undefined
      ? address(ip)
      : text.includes('>')
        ? `[${address(ip)}]${port}`
        : `${address(ip)}${port}`,
  );
}

function serviceInV6(raw: RawService): RawService {
  const text = JSON.stringify(raw).replaceAll(/"(\d+\.\d+\.\d+\.\d+)"/g, (_, ip: string) => `"${inV6(ip)}"`);
  return JSON.parse(text) as RawService;
}

const THREE = [
  everywhere(1, {}),
  everywhere(2, { externalTrafficPolicy: 'Local' }),
  everywhere(3, { internalTrafficPolicy: 'Local' }),
];
const SLICES = [1, 2, 3].map((n) => slice(`svc${n}`, BOTH));
const SLICES6 = [1, 2, 3].map((n) =>
  slice(
    `svc${n}`,
    BOTH.map((words) => `${V6[words.split('@')[0]!]}@${words.split('@')[1]}`),
  ),
);

for (const masqueradeAll of [false, true]) {
  const rows = masqueradeRows(masqueradeAll);
  const setting = masqueradeAll ? 'masqueradeAll' : 'pods keep their address';
  check(`27 flows, IPv4, ${setting}`, THREE, SLICES, rows, { masqueradeAll });
  check(
    `27 flows, IPv6, ${setting}`,
    THREE.map(serviceInV6),
    SLICES6,
    rows.map(([what, flow, result]) => [what, inV6(flow), result.split(', ').map(inV6).join(', ')]),
    { masqueradeAll },
  );
}

test('there are 27 of them', () => assert.equal(masqueradeRows(false).length, 27));

check(
  'no endpoint in the cluster: 6 refusals',
  [everywhere(1, {})],
  [],
  [
    ['pod to ClusterIP', `${POD} 172.30.0.1:80`, 'reject'],
    ['outside to external address', `${OUT} 203.0.113.1:80`, 'reject'],
    ['pod to NodePort', `${POD} ${NODE_IP}:30001`, 'reject'],
    ['outside to NodePort', `${OUT} ${NODE_IP}:30001`, 'reject'],
    ['pod to load balancer', `${POD} 203.0.113.101:80`, 'reject'],
    ['outside to load balancer', `${OUT} 203.0.113.101:80`, 'reject'],
  ],
);

check(
  'load balancer with source ranges: 13 flows',
  [
    service(
      'lb',
      {
        type: 'LoadBalancer',
        clusterIP: '172.30.0.41',
        ports: [{ name: 'p', port: 80, nodePort: 30_041 }],
        loadBalancerSourceRanges: ['192.168.0.0/24', '203.0.113.0/25', '192.168.1.2/32'],
      },
      {
        loadBalancer: {
          ingress: [
            { ip: '1.2.3.4' },
            { ip: '5.6.7.8' },
            { hostname: 'lb.example' },
            { ip: '9.9.9.9', ipMode: 'Proxy' },
          ],
        },
      },
    ),
  ],
  [slice('lb', [`${THERE}@node-2`])],
  [
    ['pod to ClusterIP', `${POD} 172.30.0.41:80`, to(THERE)],
    ['outside to NodePort is not filtered', `${OUT} ${NODE_IP}:30041`, to(THERE, true)],
    ['an address of the ranges to NodePort', `outside 203.0.113.1 > ${NODE_IP}:30041`, to(THERE, true)],
    ['accepted', 'outside 203.0.113.2 > 1.2.3.4:80', to(THERE, true)],
    ['accepted at the second address', 'outside 192.168.0.77 > 5.6.7.8:80', to(THERE, true)],
    ['dropped', 'outside 203.0.113.130 > 1.2.3.4:80', 'drop'],
    ['dropped at the second address', `${OUT} 5.6.7.8:80`, 'drop'],
    ['a pod is dropped as well', `${POD} 5.6.7.8:80`, 'drop'],
    ['the node is in the ranges', `${HOST} 1.2.3.4:80`, to(THERE, true)],
    ['so is the balancer’s address that the node has', 'node 5.6.7.8 > 5.6.7.8:80', to(THERE, true)],
    [
      'another port of the balancer is not the service’s',
      'outside 203.0.113.2 > 1.2.3.4:81',
      'not a service',
    ],
    ['another protocol neither', 'outside 203.0.113.2 > 1.2.3.4:80/UDP', 'not a service'],
    ['ipMode Proxy: through the balancer', `${POD} 9.9.9.9:80`, 'not a service'],
  ],
);

const EXTERNAL: Row[] = [
  ['pod to ClusterIP', `${POD} 172.30.0.1:80`, to(ANY)],
  ['pod to external address', `${POD} 203.0.113.1:80`, ''],
  ['outside to external address', `${OUT} 203.0.113.1:80`, ''],
  ['pod to NodePort', `${POD} ${NODE_IP}:30001`, ''],
  ['outside to NodePort', `${OUT} ${NODE_IP}:30001`, ''],
  ['pod to load balancer', `${POD} 203.0.113.101:80`, ''],
  ['outside to load balancer', `${OUT} 203.0.113.101:80`, ''],
];
const withResults = (pod: string, outside: string): Row[] =>
  EXTERNAL.map(([what, flow, result]) => [
    what,
    flow,
    result !== '' ? result : flow.startsWith('pod') ? pod : outside,
  ]);

check(
  'external policy Cluster: 7 flows',
  [everywhere(1, {})],
  [slice('svc1', BOTH)],
  withResults(to(ANY, true), to(ANY, true)),
);
check(
  'external policy Local: 7 flows',
  [everywhere(1, { externalTrafficPolicy: 'Local' })],
  [slice('svc1', BOTH)],
  withResults(to(ANY), to(HERE)),
);

describe('ending endpoints', () => {
  const [E1, E2] = [`${HERE}@node-1`, `${THERE}@node-2`];
  const CASES: [string, string[], { cluster: string; local: string }][] = [
    ['all ready', [E1, E2], { cluster: to(ANY, true), local: to(HERE) }],
    ['the one here ends', [`${E1} ending`, E2], { cluster: to(THERE, true), local: to(HERE) }],
    ['all end and serve', [`${E1} ending`, `${E2} ending`], { cluster: to(ANY, true), local: to(HERE) }],
    [
      'none serves',
      [`${E1} ending !serving`, `${E2} ending !serving`],
      { cluster: 'reject', local: 'reject' },
    ],
    ['only elsewhere', [E2], { cluster: to(THERE, true), local: 'drop' }],
  ];
  for (const policy of ['Cluster', 'Local'] as const)
    for (const [what, endpoints, results] of CASES)
      for (const target of ['203.0.113.101:80', `${NODE_IP}:30001`])
        test(`${policy}, ${what}: outside to ${target}`, () => {
          const { decide } = cluster(
            [everywhere(1, { externalTrafficPolicy: policy })],
            [slice('svc1', endpoints)],
          );
          assert.equal(tell(decide(`${OUT} ${target}`)), results[policy === 'Cluster' ? 'cluster' : 'local']);
        });
});

describe('internal policy', () => {
  const local = service('s', { clusterIP: '172.30.0.41', internalTrafficPolicy: 'Local' });
  const both = service('s', { clusterIP: '172.30.0.41' });
  const rows: [string, RawService, string[], string][] = [
    ['Cluster', both, BOTH, to(ANY)],
    ['Local, one here', local, BOTH, to(HERE)],
    ['Local, none here', local, [`${THERE}@node-2`], 'drop'],
    ['Local, none at all', local, [], 'reject'],
  ];
  for (const [what, raw, endpoints, result] of rows)
    test(what, () => {
      const { decide } = cluster([raw], [slice('s', endpoints)]);
      assert.equal(tell(decide(`${POD} 172.30.0.41:80`)), result);
    });
});

describe('addresses', () => {
  const raw = service('s', {
    clusterIP: '172.30.0.41',
    ports: [
      { name: 'p', port: 80 },
      { name: 'u', port: 80, protocol: 'UDP' },
      { name: 's', port: 80, protocol: 'SCTP' },
    ],
  });
  const ports = [
    { name: 'p', port: 8080 },
    { name: 'u', protocol: 'UDP', port: 8053 },
    { name: 's', protocol: 'SCTP', port: 8132 },
  ];
  const { decide } = cluster([raw], [slice('s', [`${HERE}@node-1`], ports)]);
  const rows: Row[] = [
    ['one number for three protocols: TCP', `${POD} 172.30.0.41:80`, `${HERE}:8080`],
    ['UDP', `${POD} 172.30.0.41:80/UDP`, `${HERE}:8053`],
    ['SCTP', `${POD} 172.30.0.41:80/SCTP`, `${HERE}:8132`],
    ['a port that it has not', `${POD} 172.30.0.41:81`, 'reject'],
    ['an address that no service has', `${POD} 172.30.0.99:80`, 'drop'],
    ['no address of services', `${POD} 198.51.100.7:80`, 'not a service'],
    ['a pod that reaches itself sees its node', `pod ${HERE} > 172.30.0.41:80`, `${HERE}:8080 masqueraded`],
  ];
  for (const [what, flow, result] of rows) test(what, () => assert.equal(tell(decide(flow)), result));
});

test('a named port may have another number in each slice, and an endpoint that moves between slices is one', () => {
  const slices = [
    slice('s', [`${HERE}@node-1`], [{ name: 'p', port: 8080 }]),
    slice('s', [`${THERE}@node-2`], [{ name: 'p', port: 9090 }]),
    slice('s', [`${THERE}@node-2 !ready`], [{ name: 'p', port: 9090 }]),
  ];
  for (const order of [slices, slices.toReversed()]) {
    const { decide } = cluster([service('s', { clusterIP: '172.30.0.41' })], order);
    assert.equal(tell(decide(`${POD} 172.30.0.41:80`)), `${HERE}:8080, ${THERE}:9090`);
  }
});

test('without NodePort the balancer’s address works; without a selector endpoints are what they are', () => {
  const { decide } = cluster(
    [
      service(
        's',
        { type: 'LoadBalancer', clusterIP: '172.30.0.41' },
        { loadBalancer: { ingress: [{ ip: '1.2.3.4' }] } },
      ),
    ],
    [slice('s', ['198.51.100.80'])],
  );
  assert.equal(tell(decide(`${OUT} 1.2.3.4:80`)), '198.51.100.80:8080 masqueraded');
  assert.equal(tell(decide(`${OUT} ${NODE_IP}:30000`)), 'not a service');
});

test('each family is served by itself, with the address that stands at its place', () => {
  const dual = service('s', {
    clusterIP: '172.30.0.41',
    clusterIPs: ['172.30.0.41', 'fd00:10:96::41'],
    ipFamilies: ['IPv4', 'IPv6'],
  });
  const { decide } = cluster([dual], [slice('s', ['fd00:10:244:1::2@node-1'])]);
  assert.equal(tell(decide('pod fd00:10:244:1::3 > [fd00:10:96::41]:80')), 'fd00:10:244:1::2:8080');
  assert.equal(tell(decide(`${POD} 172.30.0.41:80`)), 'reject');
  const single = cluster([dual], [slice('s', ['fd00:10:244:1::2@node-1'])], { families: [4] });
  assert.equal(tell(single.decide('pod fd00:10:244:1::3 > [fd00:10:96::41]:80')), 'drop');
});
