/** Why: whom the ends of a question mean, and what is said where they mean nobody. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIp } from '../../src/base/ip/ip.ts';
import { trimService } from '../../src/cluster/kinds/service.ts';
import type { Known } from '../../src/plan/policy/answer/ends.ts';
import { explainFlow, formatExplanation } from '../../src/plan/policy/answer/why.ts';
import type { PolicyPod, PolicyService } from '../../src/plan/policy/parse/objects.ts';
import { parseNetworkPolicy } from '../../src/plan/policy/parse/parse-network-policy.ts';

function pod(name: string, ip: string, nodeName: string, labels = {}): PolicyPod {
  const ports = [{ name: 'http', port: 8080, protocol: 'TCP' as const }];
  return {
    namespace: 'shop',
    name,
    labels,
    podIPs: ip === '' ? [] : [parseIp(ip)],
    hostNetwork: false,
    phase: 'Running',
    ports,
    nodeName,
  };
}

function service(name: string, spec: object): PolicyService {
  const metadata = { name, namespace: 'shop', uid: name, resourceVersion: '1' };
  const trimmed = trimService({ metadata, spec });
  assert.ok('object' in trimmed);
  return trimmed.object;
}

const KNOWN: Known = {
  pods: [
    pod('web-1', '10.244.0.2', 'node-1', { app: 'web' }),
    pod('web-2', '10.244.1.2', 'node-2', { app: 'web', canary: 'yes' }),
    pod('client', '10.244.0.3', 'node-1'),
    pod('coming', '', ''),
  ],
  namespaces: [],
  nodes: [{ name: 'node-1', labels: {}, ips: [parseIp('192.168.1.2')] }],
  clusterPolicies: [],
  policies: [
    parseNetworkPolicy('shop', 'canary', {
      spec: { podSelector: { matchLabels: { canary: 'yes' } }, policyTypes: ['Ingress'] },
    }).policy,
    parseNetworkPolicy('shop', 'closed', {
      spec: { podSelector: {}, ingress: [{ ports: [{ port: 8080 }] }] },
    }).policy,
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
  ],
};

function why(source: string, destination: string, port?: number, protocol = 'tcp', known: Known = KNOWN) {
  return explainFlow(known, { source, destination, protocol, ...(port === undefined ? {} : { port }) });
}

function refusal(...question: Parameters<typeof why>): string {
  try {
    why(...question);
  } catch (error) {
    return (error as Error).message;
  }
  return 'no refusal';
}

test('by name or by address it is the same pod', () => {
  assert.equal(why('shop/client', 'shop/web-1', 8080).allowed, true);
  assert.equal(why('shop/client', 'shop/web-1', 8081).allowed, false);
  assert.deepEqual(why('10.244.0.3', '10.244.0.2', 8080), why('shop/client', 'shop/web-1', 8080));
});

test('an address that is nobody here is one outside of the cluster', () => {
  const { allowed, source } = why('203.0.113.9', 'shop/web-1', 22);
  assert.equal(allowed, false);
  assert.deepEqual(source, { ip: '203.0.113.9' });
});

test('a node reaches its own pods, and those of other nodes as policies have it', () => {
  assert.equal(why('node/node-1', 'shop/web-1', 22).allowed, true);
  assert.equal(why('192.168.1.2', 'shop/web-1', 22).allowed, true);
  assert.equal(why('node/node-1', 'shop/web-2', 22).allowed, false);
  const text = formatExplanation(why('shop/web-1', 'node/node-1', 22));
  assert.match(text, /^Allowed: shop\/web-1 \(10\.244\.0\.2\) → node node-1 \(192\.168\.1\.2\), TCP 22/);
  assert.match(text, /a node and its own pods always reach each other/);
});

test('a service is the pods behind it, at their own port: of several, one that is denied is shown', () => {
  const policies = KNOWN.policies.filter(({ name }) => name === 'canary');
  for (const name of ['svc/shop/web', 'service/shop/web', 'shop/web', '10.96.0.10']) {
    const answer = why('shop/client', name, 80, 'tcp', { ...KNOWN, policies });
    assert.equal(answer.allowed, false);
    assert.equal(answer.destination.pod, 'shop/web-2');
    assert.match(
      formatExplanation(answer),
      /service shop\/web port 80 leads to shop\/web-1 10\.244\.0\.2 port 8080, shop\/web-2 .*: policies see these addresses, not the service's; 1 of 2 denied: shop\/web-2/,
    );
  }
  assert.equal(why('shop/client', 'svc/shop/web').allowed, true, 'its only port');
});

test('a service of two families leads to the addresses of the family in which it is asked', () => {
  const both = { ...pod('both', '10.244.0.9', 'node-1', { app: 'both' }) };
  const six = { ...pod('six', 'fd00::6', 'node-1') };
  const known: Known = {
    ...KNOWN,
    policies: [],
    pods: [...KNOWN.pods, { ...both, podIPs: [...both.podIPs, parseIp('fd00::9')] }, six],
    services: [
      service('both', {
        clusterIPs: ['10.96.0.9', 'fd00:96::9'],
        selector: { app: 'both' },
        ports: [{ port: 80 }],
      }),
    ],
  };
  const backends = (source: string, name: string) => why(source, name, 80, 'tcp', known).service?.backends;
  assert.deepEqual(backends('shop/client', 'svc/shop/both'), ['shop/both 10.244.0.9 port 80']);
  assert.deepEqual(backends('shop/six', 'svc/shop/both'), ['shop/both fd00::9 port 80']);
  assert.deepEqual(backends('shop/both', 'fd00:96::9'), ['shop/both fd00::9 port 80']);
});

test('what means nobody is refused, with what was probably meant', () => {
  const cases: readonly [Parameters<typeof why>, RegExp][] = [
    [['shop/clien', 'shop/web-1', 80], /^there is no pod shop\/clien; did you mean shop\/client\?$/],
    [['client', 'shop/web-1', 80], /^there is no pod default\/client; did you mean shop\/client\?$/],
    [['shop/coming', 'shop/web-1', 80], /^pod shop\/coming has no address yet; wait until it runs$/],
    [['node/node-2', 'shop/web-1', 80], /^there is no node node-2; did you mean node-1\?$/],
    [['svc/shop/web', 'shop/web-1', 80], /^source: svc\/shop\/web is a service, which begins no connection/],
    [['shop/client', 'svc/shop/wbe', 80], /^there is no service shop\/wbe; did you mean svc\/shop\/web\?$/],
    [['shop/client', 'svc/shop/web', 81], /^port: service shop\/web has no port TCP 81; it has TCP 80$/],
    [['shop/client', 'svc/shop/plain'], /^port: service shop\/plain has TCP 9000, TCP 9001; name one$/],
    [['shop/client', 'svc/shop/elsewhere', 80], /^service shop\/elsewhere has no selector/],
    [['shop/client', 'svc/shop/nobody', 80], /^service shop\/nobody leads nowhere/],
    [['shop/client', 'svc/shop/web', undefined, 'icmp'], /^service shop\/web answers no ICMP/],
    [['shop/client', 'shop/web-1'], /^port: nothing is not a port/],
    [['shop/client', 'shop/web-1', 70_000], /^port: 70000 is not a port/],
    [['shop/client', 'shop/web-1', 80, 'tpc'], /^protocol: "tpc" is unknown/],
    [['shop/client', 'fd00::1', 80], /^shop\/client and fd00::1 have no address of one family$/],
  ];
  for (const [question, wanted] of cases) assert.match(refusal(...question), wanted);
});

test('services that cannot be read are missed only where one is named', () => {
  const known = { ...KNOWN, services: { problem: 'refused' } };
  assert.equal(why('shop/client', '10.96.0.10', 80, 'tcp', known).allowed, true);
  assert.equal(
    refusal('shop/client', 'svc/shop/web', 80, 'tcp', known),
    'svc/shop/web: services cannot be read: refused',
  );
});
