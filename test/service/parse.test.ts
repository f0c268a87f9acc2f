/** Services and slices as the API sends them, old, odd and wrong ones. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseLenientCidr, parseLenientIp } from '../../src/plan/service/lenient.ts';
import type { ServiceObject } from '../../src/plan/service/objects.ts';
import { parseService } from '../../src/plan/service/parse-service.ts';
import { parseSlice } from '../../src/plan/service/parse-slice.ts';

function read(spec: object, more: object = {}): { service: ServiceObject; problems: readonly string[] } {
  const metadata = { namespace: 'default', name: 's' };
  const parsed = parseService({
    metadata,
    spec: { clusterIP: '10.96.0.1', ports: [{ port: 80 }], ...spec },
    ...more,
  });
  assert.ok('service' in parsed, JSON.stringify(parsed));
  return parsed;
}

test('old addresses are read as they were meant', () => {
  const rows: [unknown, string | undefined][] = [
    ['172.30.0.041', '172.30.0.41'],
    ['010.096.000.001', '10.96.0.1'],
    [' 1.2.3.4 ', '1.2.3.4'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
    ['::ffff:102:304', '1.2.3.4'],
    ['FD00:0:0::1', 'fd00::1'],
    ['1.2.3', undefined],
    ['1.2.3.256', undefined],
    ['', undefined],
    [7, undefined],
    [null, undefined],
  ];
  for (const [text, ip] of rows) assert.equal(parseLenientIp(text), ip, String(text));
  assert.equal(parseLenientCidr(' 1.2.3.0/24'), '1.2.3.0/24');
  assert.equal(parseLenientCidr('1.2.3.4/24'), '1.2.3.0/24');
  assert.equal(parseLenientCidr('001.002.003.000/24 '), '1.2.3.0/24');
  for (const text of ['1.2.3.0', '1.2.3.0/33', '1.2.3.0/x', '/8', undefined])
    assert.equal(parseLenientCidr(text), undefined);
});

test('bad addresses are left out and named, the rest is served', () => {
  const { service, problems } = read(
    {
      type: 'LoadBalancer',
      clusterIP: '172.30.0.041',
      externalIPs: ['192.168.99.022', 'x'],
      loadBalancerSourceRanges: [' 203.0.113.000/25', 'y/8'],
    },
    {
      status: {
        loadBalancer: {
          ingress: [
            { ip: '1.2.3.004' },
            { ip: '5.6.7' },
            { hostname: 'h' },
            { ip: '9.9.9.9', ipMode: 'Proxy' },
          ],
        },
      },
    },
  );
  assert.deepEqual(
    [service.clusterIPs, service.externalIPs, service.loadBalancerIPs, service.sourceRanges],
    [['172.30.0.41'], ['192.168.99.22'], ['1.2.3.4'], ['203.0.113.0/25']],
  );
  assert.equal(problems.length, 3);
  assert.match(problems.join('\n'), /externalIPs: "x".*\n.*SourceRanges: "y\/8".*|"5\.6\.7"/s);
});

describe('who is not served, and why', () => {
  const rows: [string, object, object, RegExp | undefined][] = [
    ['a cluster address', {}, {}, undefined],
    ['headless', { clusterIP: 'None' }, {}, /headless/],
    ['no address yet', { clusterIP: '' }, {}, /no address/],
    ['ExternalName', { type: 'ExternalName', externalName: 'x', clusterIP: '' }, {}, /ExternalName/],
    ['ExternalName with an address of before', { type: 'ExternalName' }, {}, /ExternalName/],
    ['another proxy', {}, { 'service.kubernetes.io/service-proxy-name': 'mine' }, /"mine"/],
    ['another proxy without a name', {}, { 'service.kubernetes.io/service-proxy-name': '' }, /hands it to/],
    ['the label of headless ones', {}, { 'service.kubernetes.io/headless': '' }, /headless says so/],
  ];
  for (const [what, spec, labels, why] of rows)
    test(what, () => {
      const { service } = read(spec, { metadata: { namespace: 'default', name: 's', labels } });
      if (why === undefined) assert.equal(service.notServed, undefined);
      else assert.match(service.notServed ?? '', why);
    });
});

test('the address of a family stands where the family stands', () => {
  const both = { clusterIPs: ['10.96.0.1', 'fd00::1'] };
  assert.deepEqual(read({ ...both, ipFamilies: ['IPv4', 'IPv6'] }).service.clusterIPs, [
    '10.96.0.1',
    'fd00::1',
  ]);
  assert.deepEqual(read({ ...both, ipFamilies: ['IPv4'] }).service.clusterIPs, ['10.96.0.1']);
  assert.deepEqual(read({ clusterIP: 'fd00::1' }).service.clusterIPs, ['fd00::1']);
  const swapped = read({ ...both, ipFamilies: ['IPv6', 'IPv4'] });
  assert.deepEqual(swapped.service.clusterIPs, []);
  assert.equal(swapped.problems.length, 2);
});

test('policies, affinity, ports: what is not given has its default, what is wrong is named', () => {
  const { service, problems } = read({
    type: 'LoadBalancer',
    ports: [
      { port: 80 },
      { name: 'u', port: 53, protocol: 'UDP', nodePort: 30_053 },
      { port: 0 },
      { port: '80' },
      { port: 1, protocol: 'ICMP' },
      7,
    ],
    internalTrafficPolicy: 'Near',
    externalTrafficPolicy: 'Local',
    sessionAffinity: 'ClientIP',
    sessionAffinityConfig: { clientIP: { timeoutSeconds: -1 } },
    healthCheckNodePort: 31_000,
  });
  assert.deepEqual(service.ports, [
    { name: '', protocol: 'TCP', port: 80 },
    { name: 'u', protocol: 'UDP', port: 53, nodePort: 30_053 },
  ]);
  assert.deepEqual(
    [
      service.internalTrafficPolicy,
      service.externalTrafficPolicy,
      service.affinitySeconds,
      service.healthCheckNodePort,
    ],
    ['Cluster', 'Local', 10_800, 31_000],
  );
  assert.equal(problems.length, 6);
  // A NodePort of before does not outlive the type, and Local means nothing where nothing comes from outside.
  const plain = read({
    ports: [{ port: 80, nodePort: 30_080 }],
    externalTrafficPolicy: 'Local',
    healthCheckNodePort: 31_000,
  }).service;
  assert.deepEqual(
    [plain.ports[0]?.nodePort, plain.externalTrafficPolicy, plain.healthCheckNodePort],
    [undefined, 'Cluster', undefined],
  );
});

test('source ranges: a /0 opens its family; a list of which nothing can be read closes', () => {
  const ranges = (...list: unknown[]) =>
    read({ type: 'LoadBalancer', loadBalancerSourceRanges: list }).service.sourceRanges;
  assert.equal(ranges(), undefined);
  assert.equal(ranges('10.0.0.0/8', '0.0.0.0/0'), undefined);
  assert.deepEqual(ranges('0.0.0.0/0', 'fd00::/8'), ['fd00::/8']);
  assert.deepEqual(ranges('nonsense'), []);
});

test('slices: conditions that are absent mean ready, what is of no use is left out', () => {
  const head = {
    metadata: { namespace: 'default', name: 'x', labels: { 'kubernetes.io/service-name': 's' } },
  };
  const parsed = parseSlice({
    ...head,
    addressType: 'IPv4',
    ports: [{ port: 80 }, { name: 'zero', port: 0 }, { name: 'nil' }, { name: 'bad', port: 'x' }],
    endpoints: [
      { addresses: ['10.0.0.01', '10.0.0.9'] },
      {
        addresses: ['10.0.0.2'],
        conditions: { ready: null, serving: null, terminating: null },
        nodeName: 'n',
      },
      { addresses: ['fd00::1'] },
      { addresses: [] },
      'x',
    ],
  });
  assert.ok('slice' in parsed && parsed.slice !== undefined);
  assert.deepEqual(parsed.slice.ports, [{ name: '', protocol: 'TCP', port: 80 }]);
  assert.deepEqual(
    parsed.slice.endpoints.map(({ ip, ready, nodeName }) => [ip, ready, nodeName]),
    [
      ['10.0.0.1', true, undefined],
      ['10.0.0.2', true, 'n'],
    ],
  );
  assert.equal(parsed.problems.length, 4);
  const names = parseSlice({ ...head, addressType: 'FQDN', endpoints: [{ addresses: ['x.example'] }] });
  assert.ok('slice' in names && names.slice?.family === undefined && names.problems.length === 0);
  for (const labels of [{}, { 'kubernetes.io/service-name': 's', 'service.kubernetes.io/headless': '' }])
    assert.deepEqual(
      parseSlice({ metadata: { namespace: 'default', name: 'x', labels }, addressType: 'IPv4' }),
      { problems: [] },
    );
  assert.deepEqual(parseSlice({ ...head, addressType: 'IPv5' }), {
    problem: 'addressType: "IPv5" is none of IPv4, IPv6, FQDN',
  });
});

test('whatever comes, it is read or named', () => {
  const spec = fc.dictionary(
    fc.constantFrom(
      'clusterIP',
      'clusterIPs',
      'ipFamilies',
      'ports',
      'type',
      'externalIPs',
      'sessionAffinityConfig',
      'loadBalancerSourceRanges',
      'endpoints',
      'addressType',
    ),
    fc.oneof(fc.anything({ maxDepth: 3 }), fc.constantFrom('LoadBalancer', 'IPv4', '10.0.0.1')),
  );
  const metadata = fc.oneof(
    fc.constant({ namespace: 'default', name: 's', labels: { 'kubernetes.io/service-name': 's' } }),
    fc.anything(),
  );
  fc.assert(
    fc.property(metadata, spec, (meta, fields) => {
      for (const parsed of [
        parseService({ metadata: meta, spec: fields, status: fields }),
        parseSlice({ metadata: meta, ...fields }),
      ])
        assert.ok('problem' in parsed || 'problems' in parsed);
    }),
  );
});
