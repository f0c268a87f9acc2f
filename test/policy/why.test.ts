/** Why: what the ends of a question mean, which way packets take and what each side sees of them, and what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCidr } from '../../src/base/ip/cidr.ts';
import { parseIp } from '../../src/base/ip/ip.ts';
import { runToEnd } from '../../src/base/run/slices.ts';
import { trimPod } from '../../src/cluster/kinds/pod.ts';
import { trimService } from '../../src/cluster/kinds/service.ts';
import { formatReason } from '../../src/plan/flow/flow-record.ts';
import type { Known } from '../../src/plan/policy/answer/ends.ts';
import { formatAnswer } from '../../src/plan/policy/answer/format-why.ts';
import { openJudge } from '../../src/plan/policy/answer/judge.ts';
import { answerFlow, concernedBy, type Question, traceFlow } from '../../src/plan/policy/answer/why.ts';
import type { PolicyInput } from '../../src/plan/policy/compile/compile.ts';
import type { PolicyPod, PolicyService } from '../../src/plan/policy/parse/objects.ts';
import { parseNetworkPolicy } from '../../src/plan/policy/parse/parse-network-policy.ts';

function pod(name: string, ips: string, nodeName: string, more: Partial<PolicyPod> = {}): PolicyPod {
  return {
    namespace: 'shop',
    name,
    labels: {},
    podIPs: ips.split(' ').flatMap((ip) => (ip === '' ? [] : [parseIp(ip)])),
    hostNetwork: false,
    phase: 'Running',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    nodeName,
    ...more,
  };
}

function service(name: string, spec: object): PolicyService {
  const metadata = { name, namespace: 'shop', uid: name, resourceVersion: '1' };
  const trimmed = trimService({ metadata, spec });
  assert.ok('object' in trimmed);
  return trimmed.object;
}

function node(name: string, ips: string, ranges: string) {
  const addresses = ips.split(' ').map((ip) => parseIp(ip));
  return {
    name,
    labels: {},
    ips: addresses,
    internalIps: addresses,
    podCidrs: ranges.split(' ').map((range) => parseCidr(range)),
  };
}

const policy = (name: string, spec: object) => parseNetworkPolicy('shop', name, spec ? { spec } : {}).policy;
const BOTH = { hostPort: 18_080, containerPort: 8080, protocol: 'TCP' } as const;

/** Asked at node-1, which knows what is attached there, and of which addresses. */
type World = Known & Pick<PolicyInput, 'policies' | 'clusterPolicies' | 'namespaces'>;
const WORLD: World = {
  local: {
    node: 'node-1',
    addresses: [
      { ip: parseIp('192.168.1.2'), prefixLength: 24 },
      { ip: parseIp('10.244.0.1'), prefixLength: 32 },
      { ip: parseIp('172.17.0.1'), prefixLength: 24 },
      { ip: parseIp('fe80::1'), prefixLength: 64 },
    ],
    attached: [
      {
        pod: { namespace: 'shop', name: 'web-1' },
        ips: [parseIp('10.244.0.2')],
        portMappings: [{ ...BOTH, protocol: 'tcp' }],
      },
      { pod: { namespace: 'shop', name: 'client' }, ips: [parseIp('10.244.0.3'), parseIp('fd00::3')] },
      { pod: { namespace: 'shop', name: 'both' }, ips: [parseIp('10.244.0.9'), parseIp('fd00::9')] },
      { pod: { namespace: 'shop', name: 'quiet' }, ips: [parseIp('10.244.0.4')] },
      { pod: { namespace: 'shop', name: 'unheard-of' }, ips: [parseIp('10.244.0.5')] },
    ],
  },
  podNetwork: [parseCidr('10.244.0.0/16'), parseCidr('fd00::/48')],
  pods: [
    pod('web-1', '10.244.0.2', 'node-1', { labels: { app: 'web' }, hostPorts: [BOTH] }),
    pod('web-2', '10.244.1.2', 'node-2', { labels: { app: 'web', canary: 'yes' }, hostPorts: [BOTH] }),
    pod('client', '10.244.0.3 fd00::3', 'node-1'),
    pod('both', '10.244.0.9 fd00::9', 'node-1', { labels: { app: 'both' } }),
    pod('quiet', '10.244.0.4', 'node-1', { labels: { app: 'quiet' } }),
    pod('coming', '', ''),
    pod('lost', '10.244.0.77', 'node-1'),
    pod('done', '10.244.1.9', 'node-2', { phase: 'Succeeded' }),
    pod('proxy', '192.168.1.2', 'node-1', { hostNetwork: true }),
    pod('proxy-2', '192.168.1.3', 'node-2', { hostNetwork: true }),
  ],
  nodes: [
    node('node-1', '192.168.1.2', '10.244.0.0/24 fd00::/64'),
    node('node-2', '192.168.1.3', '10.244.1.0/24 fd00:0:0:1::/64'),
  ],
  namespaces: [],
  clusterPolicies: [],
  policies: [
    policy('canary', { podSelector: { matchLabels: { canary: 'yes' } }, policyTypes: ['Ingress'] }),
    policy('closed', { podSelector: {}, ingress: [{ ports: [{ port: 8080 }] }] }),
    policy('quiet', { podSelector: { matchLabels: { app: 'quiet' } }, policyTypes: ['Egress'] }),
    policy('by-family', {
      podSelector: { matchLabels: { app: 'both' } },
      policyTypes: ['Egress'],
      egress: [{ to: [{ ipBlock: { cidr: '10.244.0.0/16' } }] }],
    }),
  ],
  services: [
    service('web', {
      clusterIP: '10.96.0.10',
      selector: { app: 'web' },
      ports: [{ port: 80, targetPort: 'http' }],
    }),
    service('plain', {
      clusterIP: '10.96.0.11',
      selector: { app: 'web' },
      ports: [{ port: 9000 }, { port: 9001 }],
    }),
    service('elsewhere', { clusterIP: 'None', ports: [{ port: 80 }] }),
    service('nobody', { clusterIP: '10.96.0.12', selector: { app: 'none' }, ports: [{ port: 80 }] }),
    service('dual', {
      clusterIPs: ['10.96.0.9', 'fd00:96::9'],
      selector: { app: 'both' },
      ports: [{ port: 80, targetPort: 8080 }],
    }),
  ],
};
const UNRULED: World = { ...WORLD, policies: [] };

type Asked = [
  source: string,
  destination: string,
  port?: number | undefined,
  more?: Partial<Question>,
  world?: World,
];

function why(...[source, destination, port, more, world = WORLD]: Asked) {
  const question = { source, destination, protocol: 'tcp', ...(port === undefined ? {} : { port }), ...more };
  const asked = traceFlow(world, question);
  const here = { name: world.local.node, ips: world.local.addresses.map(({ ip }) => ip) };
  return answerFlow(asked, runToEnd(openJudge(world, world.local.attached, here, concernedBy(asked))));
}

/** Of each family: `4 allowed`. */
function verdicts(...asked: Asked): string {
  return why(...asked)
    .answers.map(({ family, verdict }) => `${family} ${verdict}`)
    .join(', ');
}

function refusal(...asked: Asked): string {
  try {
    why(...asked);
  } catch (error) {
    return (error as Error).message;
  }
  return 'no refusal';
}

test('by name or by address it is the same pod', () => {
  assert.equal(verdicts('shop/client', 'shop/web-1', 8080), '4 allowed');
  assert.equal(verdicts('shop/client', 'shop/web-1', 8081), '4 denied');
  assert.deepEqual(why('10.244.0.3', '10.244.0.2', 8080), why('shop/client', 'shop/web-1', 8080));
});

test('both families are answered by themselves, or the one that is asked for', () => {
  assert.equal(verdicts('shop/both', 'shop/client', 8080), '4 allowed, 6 denied');
  assert.equal(verdicts('shop/both', 'shop/client', 8080, { family: 6 }), '6 denied');
  assert.equal(verdicts('shop/both', 'fd00::3', 8080), '6 denied');
});

test('where an address leads decides before policies do', () => {
  const cases: readonly [destination: string, verdict: string, at: string, Partial<Question>?][] = [
    ['203.0.113.9', '4 allowed', 'outside'],
    // Of the node that answers, whether or not the cluster knows them.
    ['192.168.1.2', '4 allowed', 'node'],
    ['10.244.0.1', '4 allowed', 'node'],
    ['172.17.0.1', '4 allowed', 'node'],
    ['fe80::1', '6 allowed', 'node'],
    ['10.244.1.1', '4 allowed', 'node'],
    ['shop/proxy', '4 allowed', 'node'],
    ['shop/proxy-2', '4 allowed', 'node'],
    ['127.0.0.1', '4 allowed', 'loopback'],
    ['127.9.9.9', '4 allowed', 'loopback'],
    ['0.0.0.0', '4 allowed', 'loopback'],
    ['::1', '6 allowed', 'loopback'],
    ['224.0.0.251', '4 unreachable', 'multicast'],
    ['ff02::1', '6 unreachable', 'multicast'],
    ['255.255.255.255', '4 unreachable', 'broadcast'],
    ['192.168.1.255', '4 unreachable', 'broadcast'],
    ['172.17.0.255', '4 unreachable', 'broadcast'],
    ['fe80::2', '6 unreachable', 'link-local'],
    // A cloud's metadata: routed like any other.
    ['169.254.169.254', '4 allowed', 'outside'],
    ['10.244.77.7', '4 unreachable', 'no-node'],
    ['fd00:0:0:77::7', '6 unreachable', 'no-node'],
    ['10.244.0.200', '4 unreachable', 'no-pod'],
    ['10.244.1.200', '4 unreachable', 'no-pod'],
    // The cluster says that it runs here, and it is not attached here; another has ended.
    ['10.244.0.77', '4 unreachable', 'no-pod'],
    ['10.244.1.9', '4 unreachable', 'no-pod'],
    ['10.244.0.5', '4 allowed', 'pod'],
  ];
  for (const [destination, verdict, at, more] of cases) {
    const { answers } = why('shop/client', destination, 8080, more, UNRULED);
    assert.deepEqual(
      answers.map((one) => [`${one.family} ${one.verdict}`, one.destinationPlace.at]),
      [[verdict, at]],
      destination,
    );
  }
});

test('egress to the own node is egress; what is sent within a pod, and by a node to its own pods, is not', () => {
  for (const address of ['192.168.1.2', '10.244.0.1', '172.17.0.1', 'node/node-1', 'shop/proxy'])
    assert.equal(verdicts('shop/quiet', address, 10_250), '4 denied', address);
  assert.equal(verdicts('shop/quiet', '127.0.0.1', 80), '4 allowed');
  assert.equal(verdicts('shop/quiet', '10.244.0.4', 80), '4 allowed', 'itself');
  for (const source of ['node/node-1', '192.168.1.2', '10.244.0.1', '172.17.0.1', 'shop/proxy'])
    assert.equal(verdicts(source, 'shop/web-1', 22), '4 allowed', source);
  for (const source of ['node/node-2', '192.168.1.3', 'shop/proxy-2', '203.0.113.9'])
    assert.equal(verdicts(source, 'shop/web-1', 22), '4 denied', source);
  assert.equal(verdicts('node/node-1', 'shop/web-2', 22), '4 denied');
});

test('a port of a node that a pod has is the pod, to the policies behind it', () => {
  const seen = (...asked: Asked) => {
    const [{ verdict, translated, egress, ingress }] = why(...asked).answers as [never];
    const legs = [egress, ingress] as { destination?: string; port?: number }[];
    return [
      verdict,
      (translated as { pod?: string } | undefined)?.pod,
      ...legs.map(({ destination, port }) => (destination === undefined ? '' : `${destination} ${port}`)),
    ].join(', ');
  };
  const quiet = 'denied, shop/web-1, 10.244.0.2 8080, 10.244.0.2 8080';
  for (const address of ['node/node-1', '192.168.1.2', '10.244.0.1', '172.17.0.1'])
    assert.equal(seen('shop/quiet', address, 18_080), quiet, 'on one node: translated before both sides');
  assert.equal(
    seen('shop/client', 'node/node-2', 18_080),
    'allowed, shop/web-2, 192.168.1.3 18080, 10.244.1.2 8080',
    'on two: the side of the source sees the node',
  );
  assert.equal(seen('203.0.113.9', 'node/node-1', 18_080), 'allowed, shop/web-1, , 10.244.0.2 8080');
  assert.equal(seen('node/node-2', 'node/node-1', 18_080), 'allowed, shop/web-1, , 10.244.0.2 8080');
  assert.equal(seen('node/node-1', 'node/node-1', 18_080), 'allowed, shop/web-1, , ');
  assert.equal(seen('node/node-1', '127.0.0.1', 18_080), 'allowed, shop/web-1, , ');
  assert.equal(seen('shop/web-1', 'node/node-1', 18_080), 'allowed, shop/web-1, , ', 'itself');
  assert.equal(seen('203.0.113.9', 'node/node-1', 18_081), 'allowed, , , ', 'no pod has that port');
  const udp = { protocol: 'udp' };
  assert.equal(seen('203.0.113.9', 'node/node-1', 18_080, udp), 'allowed, , , ');
  const bound = structuredClone(UNRULED);
  Object.assign(bound.local.attached[0]!.portMappings![0]!, { hostIp: '172.17.0.1' });
  assert.equal(seen('shop/client', '172.17.0.1', 18_080, {}, bound).split(', ')[1], 'shop/web-1');
  assert.equal(seen('shop/client', '192.168.1.2', 18_080, {}, bound).split(', ')[1], '');
});

test('ports of a node are read from its pods', () => {
  const ports = [
    { containerPort: 8080, hostPort: 80 },
    { containerPort: 53, hostPort: 53, protocol: 'UDP', hostIP: '192.168.1.2' },
    { containerPort: 9000 },
  ];
  const read = (spec: object) => {
    const trimmed = trimPod({
      metadata: { namespace: 'a', name: 'b', uid: 'c', resourceVersion: '1' },
      spec,
    });
    assert.ok('object' in trimmed);
    return trimmed.object.hostPorts;
  };
  assert.deepEqual(read({ containers: [{ ports }] }), [
    { protocol: 'TCP', hostPort: 80, containerPort: 8080 },
    { protocol: 'UDP', hostPort: 53, containerPort: 53, hostIp: '192.168.1.2' },
  ]);
  assert.equal(read({ hostNetwork: true, containers: [{ ports }] }), undefined, 'they are its own');
  assert.equal(read({ containers: [{ ports: [{ containerPort: 9000 }] }] }), undefined);
});

test('the text says it as the data has it', () => {
  const [answer] = why('203.0.113.9', 'node/node-1', 18_080).answers;
  assert.equal(
    formatAnswer(answer!),
    [
      'Allowed: 203.0.113.9 → node node-1 (192.168.1.2), TCP 18080',
      '  port    18080 of node node-1 leads to shop/web-1 (10.244.0.2) port 8080',
      '  egress  allowed  no policy isolates the source for egress',
      '  ingress allowed  shop/closed ingress[0] allows it to pod shop/web-1 (it sees 10.244.0.2 port 8080)',
    ].join('\n'),
  );
  const [lost] = why('shop/client', '10.244.77.7', 80, {}, UNRULED).answers;
  assert.match(formatAnswer(lost!), /^Unreachable: .*\n.*\n.*\n {2}path +nowhere: .*range of no node$/);
  const world = { ...UNRULED, local: { ...UNRULED.local, isRouted: () => false } };
  const [cut] = why('shop/client', '203.0.113.9', 80, {}, world).answers;
  assert.match(formatAnswer(cut!), /^Unreachable: .*\n {2}path +nowhere: node node-1 has no route/s);
  assert.equal(verdicts('203.0.113.9', 'shop/client', 80, {}, world), '4 allowed', 'it may have one');
  const [own] = why('shop/proxy', 'shop/web-1', 22).answers;
  assert.match(
    formatAnswer(own!),
    /^Allowed: shop\/proxy in the network of node node-1 \(192\.168\.1\.2\) → .*\n.*a node always reaches its own pods/,
  );
});

test('no sentence is in the data', () => {
  const texts: string[] = [];
  const collect = (value: unknown): void => {
    if (typeof value === 'string') texts.push(value);
    else if (typeof value === 'object' && value !== null) Object.values(value).forEach(collect);
  };
  collect(why('shop/client', 'svc/shop/web', 80));
  collect(why('shop/both', 'shop/client', 8080));
  // But for the names of rules: `shop/closed ingress[0]`.
  assert.deepEqual(
    texts.filter((text) => text.split(' ').length > 2),
    [],
  );
});

test('a service is the pods behind it, at their own port: of several, one that is denied is shown', () => {
  const policies = WORLD.policies.filter(({ name }) => name === 'canary');
  for (const name of ['svc/shop/web', 'service/shop/web', 'shop/web', '10.96.0.10']) {
    const { answers, service: behind } = why('shop/client', name, 80, {}, { ...WORLD, policies });
    const [answer] = answers;
    assert.deepEqual([answer!.verdict, answer!.destinationPod], ['denied', 'shop/web-2']);
    assert.match(
      formatAnswer(answer!, behind),
      /service shop\/web port 80 leads to shop\/web-1 10\.244\.0\.2 port 8080, shop\/web-2 .*: policies see these addresses, not the service's; 1 of 2 denied: shop\/web-2/,
    );
  }
  assert.equal(verdicts('shop/client', 'svc/shop/web', undefined, {}, UNRULED), '4 allowed', 'its only port');
});

test('a service of two families leads to the addresses of the family in which it is asked', () => {
  const backends = (source: string, name: string) =>
    why(source, name, 80, {}, UNRULED).service?.backends.map(({ ip }) => ip);
  assert.deepEqual(backends('shop/quiet', 'svc/shop/dual'), ['10.244.0.9']);
  assert.deepEqual(backends('shop/client', 'svc/shop/dual'), ['10.244.0.9', 'fd00::9']);
  assert.deepEqual(backends('shop/client', 'fd00:96::9'), ['fd00::9']);
});

test('what means nothing is refused, with what was probably meant', () => {
  const cases: readonly [Asked, RegExp][] = [
    [['shop/clien', 'shop/web-1', 80], /^there is no pod shop\/clien; did you mean shop\/client\?$/],
    [['client', 'shop/web-1', 80], /^there is no pod default\/client; did you mean shop\/client\?$/],
    [['shop/coming', 'shop/web-1', 80], /^pod shop\/coming has no address yet; wait until it runs$/],
    [['shop/done', 'shop/web-1', 80], /^pod shop\/done has ended \(Succeeded\), and its address is free$/],
    [['shop/lost', 'shop/web-1', 80], /^pod shop\/lost is of node node-1, and not attached there now/],
    [['node/node-3', 'shop/web-1', 80], /^there is no node node-3; did you mean node-1\?$/],
    [['svc/shop/web', 'shop/web-1', 80], /^source: svc\/shop\/web is a service, which begins no connection/],
    [['127.0.0.1', 'shop/web-1', 80], /^source: 127\.0\.0\.1 is the loopback of each/],
    [['224.0.0.1', 'shop/web-1', 80], /^source: 224\.0\.0\.1 is an address of many/],
    [['10.244.0.77', 'shop/web-1', 80], /^source: 10\.244\.0\.77 is in the range of node node-1, and no pod/],
    [['10.244.77.7', 'shop/web-1', 80], /^source: 10\.244\.77\.7 is in the pod network, and no node/],
    [['shop/client', 'svc/shop/wbe', 80], /^there is no service shop\/wbe; did you mean svc\/shop\/web\?$/],
    [['shop/client', 'svc/shop/web', 81], /^port: service shop\/web has no port TCP 81; it has TCP 80$/],
    [['shop/client', 'svc/shop/plain'], /^port: service shop\/plain has TCP 9000, TCP 9001; name one$/],
    [['shop/client', 'svc/shop/elsewhere', 80], /^service shop\/elsewhere has no selector/],
    [['shop/client', 'svc/shop/nobody', 80], /^service shop\/nobody leads nowhere/],
    [['shop/client', 'svc/shop/web', undefined, { protocol: 'icmp' }], /^service shop\/web answers no ICMP/],
    [['shop/client', 'shop/web-1'], /^port: nothing is not a port/],
    [['shop/client', 'shop/web-1', 70_000], /^port: 70000 is not a port/],
    [['shop/client', 'shop/web-1', 80, { protocol: 'tpc' }], /^protocol: "tpc" is unknown/],
    [['shop/quiet', 'fd00::1', 80], /^shop\/quiet and fd00::1 have no address of one family$/],
    [['shop/client', 'shop/web-1', 80, { family: 6 }], /^--family: .* do not both have an address of IPv6$/],
  ];
  for (const [asked, wanted] of cases) assert.match(refusal(...asked), wanted);
});

test('services that cannot be read are missed only where one is named', () => {
  const world = { ...WORLD, services: { problem: 'refused' } };
  assert.equal(verdicts('shop/client', '10.96.0.10', 80, {}, world), '4 allowed');
  assert.equal(
    refusal('shop/client', 'svc/shop/web', 80, {}, world),
    'svc/shop/web: services cannot be read: refused',
  );
});

test('a pod that the cluster has not told of yet is closed by what may select it', () => {
  const [answer] = why('shop/client', 'shop/unheard-of', 8080).answers;
  assert.equal(answer!.verdict, 'denied');
  assert.match(
    formatReason(answer!.reason!),
    /pod shop\/unheard-of is isolated for ingress by .*shop\/closed/,
  );
});
