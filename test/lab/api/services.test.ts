/** Services as the API gives them addresses and ports of the nodes, and what it refuses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keepAddressObjects } from '../../../lab/api/service/address-objects.ts';
import { ensureObject } from '../../../lab/api/validation/owner.ts';
import { type Json, type Reply, serveApi, type TestApi } from './fixture.ts';
import { kubectlAt, kubectls, NO_KUBECTL } from './kubectl.ts';

const PATH = '/api/v1/namespaces/default/services';
const V6 = { ipFamilyPolicy: 'PreferDualStack' };

function service(name: string, spec: object = {}, port: object = { port: 80 }): object {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: { ports: [port], ...spec } };
}

async function serveDual(): Promise<TestApi> {
  const served = await serveApi();
  ensureObject(served.api, 'ServiceCIDR', {
    metadata: { name: 'kubernetes' },
    spec: { cidrs: ['10.96.0.0/16', 'fd00:10:96::/112'] },
  });
  return served;
}

const made = async ({ call }: TestApi, object: object): Promise<Json> => {
  const { status, body } = await call('POST', PATH, object);
  assert.equal(status, 201, JSON.stringify(body));
  return body.spec;
};

const changed = async ({ call }: TestApi, name: string, patch: object): Promise<Json> => {
  const type = { 'content-type': 'application/strategic-merge-patch+json' };
  const { status, body } = await call('PATCH', `${PATH}/${name}`, patch, type);
  assert.equal(status, 200, JSON.stringify(body));
  return body.spec;
};

function refused({ status, body }: Reply, message: RegExp): void {
  assert.equal(status, 422, JSON.stringify(body));
  assert.match(body.message, message);
}

test('ports of the nodes: given, asked for, shared by protocols, refused where taken, free again after deletion', async () => {
  const api = await serveApi();
  const ports = (spec: Json) => spec.ports.map(({ nodePort }: Json) => nodePort);
  const both = [
    { name: 'udp', port: 53, protocol: 'UDP' },
    { name: 'tcp', port: 53, protocol: 'TCP' },
    { name: 'metrics', port: 9153 },
  ];
  assert.deepEqual(
    ports(await made(api, service('dns', { type: 'NodePort', ports: both }))),
    [30_086, 30_086, 30_087],
  );
  assert.deepEqual(
    ports(await made(api, service('asked', { type: 'NodePort' }, { port: 80, nodePort: 30_000 }))),
    [30_000],
  );
  const again = await api.call(
    'POST',
    PATH,
    service('other', { type: 'NodePort' }, { port: 81, nodePort: 30_000, protocol: 'UDP' }),
  );
  refused(again, /spec\.ports\[0\]\.nodePort: Invalid value: 30000: provided port is already allocated/);
  refused(
    await api.call('POST', PATH, service('low', { type: 'NodePort' }, { port: 80, nodePort: 8080 })),
    /8080: provided port is not in the valid range. The range of valid ports is 30000-32767/,
  );
  refused(
    await api.call('POST', PATH, service('plain', {}, { port: 80, nodePort: 30_001 })),
    /nodePort: Forbidden: may not be used when `type` is 'ClusterIP'/,
  );
  await api.call('DELETE', `${PATH}/asked`);
  assert.deepEqual(
    ports(await made(api, service('other', { type: 'NodePort' }, { port: 81, nodePort: 30_000 }))),
    [30_000],
  );
  const replaced = await api.call(
    'PUT',
    `${PATH}/dns`,
    service('dns', { type: 'NodePort', ports: both.slice(0, 2) }),
  );
  assert.deepEqual(
    ports(replaced.body.spec),
    [30_086, 30_086],
    'an update that does not speak of them keeps them',
  );
});

test('a service takes and loses what its type has, whichever it becomes', async () => {
  const api = await serveApi();
  await made(api, service('s', { selector: { app: 'web' } }));
  const node = await changed(api, 's', { spec: { type: 'NodePort' } });
  assert.deepEqual(
    [node.clusterIP, node.ports[0].nodePort, node.externalTrafficPolicy, node.healthCheckNodePort],
    ['10.96.0.1', 30_086, 'Cluster', undefined],
  );
  const balanced = await changed(api, 's', {
    spec: { type: 'LoadBalancer', externalTrafficPolicy: 'Local' },
  });
  assert.deepEqual(
    [balanced.ports[0].nodePort, balanced.healthCheckNodePort, balanced.allocateLoadBalancerNodePorts],
    [30_086, 30_087, true],
  );
  refused(
    await api.call(
      'PATCH',
      `${PATH}/s`,
      { spec: { healthCheckNodePort: 31_000 } },
      { 'content-type': 'application/merge-patch+json' },
    ),
    /healthCheckNodePort: Invalid value: 31000: may not change once set/,
  );
  const global = await changed(api, 's', { spec: { externalTrafficPolicy: 'Cluster' } });
  assert.equal(global.healthCheckNodePort, undefined);
  const plain = await changed(api, 's', { spec: { type: 'ClusterIP' } });
  assert.deepEqual(plain, {
    type: 'ClusterIP',
    sessionAffinity: 'None',
    internalTrafficPolicy: 'Cluster',
    selector: { app: 'web' },
    clusterIP: '10.96.0.1',
    clusterIPs: ['10.96.0.1'],
    ipFamilies: ['IPv4'],
    ipFamilyPolicy: 'SingleStack',
    ports: [{ protocol: 'TCP', port: 80, targetPort: 80 }],
  });
  const named = await changed(api, 's', { spec: { type: 'ExternalName', externalName: 'example.org' } });
  assert.deepEqual([named.clusterIP, named.clusterIPs, named.ipFamilies], [undefined, undefined, undefined]);
  const back = await changed(api, 's', { spec: { type: 'NodePort', externalName: null } });
  assert.deepEqual([back.clusterIP, back.ports[0].nodePort], ['10.96.0.1', 30_086]);
});

test('a balancer without ports of the nodes; its status has what it says, and only while it is one', async () => {
  const api = await serveApi();
  const spec = await made(api, service('lb', { type: 'LoadBalancer', allocateLoadBalancerNodePorts: false }));
  assert.equal(spec.ports[0].nodePort, undefined);
  const merge = { 'content-type': 'application/merge-patch+json' };
  const status = {
    status: { loadBalancer: { ingress: [{ ip: '203.0.113.7' }, { hostname: 'lb.example.org' }] } },
  };
  const told = await api.call('PATCH', `${PATH}/lb/status`, status, merge);
  assert.deepEqual(told.body.status.loadBalancer.ingress, [
    { ip: '203.0.113.7', ipMode: 'VIP' },
    { hostname: 'lb.example.org' },
  ]);
  const plain = await api.call('PATCH', `${PATH}/lb`, { spec: { type: 'ClusterIP' } }, merge);
  assert.deepEqual(plain.body.status, { loadBalancer: {} });
});

test('families: what the cluster has, what the service asks for, one more and one less later', async () => {
  const single = await serveApi();
  assert.deepEqual((await made(single, service('a', V6))).ipFamilies, ['IPv4']);
  refused(
    await single.call('POST', PATH, service('b', { ipFamilyPolicy: 'RequireDualStack' })),
    /ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack/,
  );
  refused(
    await single.call('POST', PATH, service('b', { ipFamilies: ['IPv6'] })),
    /ipFamilies\[0\]: Invalid value: "IPv6": not configured on this cluster/,
  );
  const free = await made(single, service('free', { clusterIP: 'None' }));
  assert.deepEqual([free.ipFamilies, free.ipFamilyPolicy], [['IPv4', 'IPv6'], 'RequireDualStack']);

  const api = await serveDual();
  assert.deepEqual((await made(api, service('plain'))).clusterIPs, ['10.96.0.1']);
  const dual = await made(api, service('dual', V6));
  assert.deepEqual(
    [dual.clusterIPs, dual.ipFamilies],
    [
      ['10.96.0.2', 'fd00:10:96::1'],
      ['IPv4', 'IPv6'],
    ],
  );
  const six = await made(api, service('six', { ipFamilies: ['IPv6', 'IPv4'] }));
  assert.deepEqual([six.clusterIP, six.ipFamilyPolicy], ['fd00:10:96::2', 'RequireDualStack']);
  const asked = await made(api, service('asked', { clusterIP: 'fd00:10:96:0::10' }));
  assert.deepEqual([asked.clusterIPs, asked.ipFamilies], [['fd00:10:96::10'], ['IPv6']]);
  const grown = await changed(api, 'plain', { spec: { ipFamilyPolicy: 'PreferDualStack' } });
  assert.deepEqual(grown.clusterIPs, ['10.96.0.1', 'fd00:10:96::3']);
  const shrunk = await changed(api, 'plain', { spec: { ipFamilyPolicy: 'SingleStack' } });
  assert.deepEqual([shrunk.clusterIPs, shrunk.ipFamilies], [['10.96.0.1'], ['IPv4']]);
  refused(
    await api.call('POST', PATH, service('out', { clusterIP: '192.0.2.1' })),
    /clusterIPs\[0\]: Invalid value: "192\.0\.2\.1": failed to allocate IP .* not in the valid range/,
  );
  refused(
    await api.call(
      'PATCH',
      `${PATH}/dual`,
      { spec: { clusterIP: '10.96.0.9' } },
      { 'content-type': 'application/merge-patch+json' },
    ),
    /clusterIPs\[0\]: Invalid value: "10\.96\.0\.9": may not change once set/,
  );
});

test('services and slices that cannot be are refused, each fault by its field', async () => {
  const { call } = await serveApi();
  const cases: [object, RegExp][] = [
    [{ type: 'Else' }, /spec\.type: Unsupported value/],
    [{ ports: [] }, /spec\.ports: Required/],
    [{ ports: [{ port: 80 }, { port: 81 }] }, /ports\[0\]\.name: Required.*ports\[1\]\.name: Required/],
    [
      {
        ports: [
          { name: 'a', port: 80 },
          { name: 'b', port: 80 },
        ],
      },
      /ports\[1\]: Duplicate value: "TCP\/80"/,
    ],
    [{ ports: [{ port: 80, targetPort: 'NOT!' }] }, /targetPort: Invalid value/],
    [{ type: 'ExternalName' }, /externalName: Required/],
    [{ externalTrafficPolicy: 'Local' }, /may only be set for externally-accessible services/],
    [{ externalIPs: ['127.0.0.1'] }, /externalIPs\[0\]: Invalid value/],
    [{ loadBalancerSourceRanges: ['10.0.0.0/8'] }, /loadBalancerSourceRanges: Forbidden/],
    [{ type: 'NodePort', clusterIP: 'None' }, /may not be set to 'None' for NodePort services/],
    [
      { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 0 } } },
      /timeoutSeconds/,
    ],
    [{ ipFamilies: ['IPv5'] }, /ipFamilies\[0\]: Invalid value: "IPv5"/],
    [{ trafficDistribution: 'Far' }, /trafficDistribution: Unsupported value/],
  ];
  for (const [spec, message] of cases) refused(await call('POST', PATH, service('s', spec)), message);
  const slices = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices';
  const slice = (fields: object) => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 's' },
    addressType: 'IPv4',
    endpoints: [],
    ...fields,
  });
  const wrong: [object, RegExp][] = [
    [{ addressType: 'IPX' }, /addressType: Unsupported/],
    [{ endpoints: [{ addresses: [] }] }, /endpoints\[0\]\.addresses: Required/],
    [{ endpoints: [{ addresses: ['fd00::1'] }] }, /addresses\[0\]: Invalid value: "fd00::1"/],
    [{ endpoints: [{ addresses: ['127.0.0.1'] }] }, /addresses\[0\]: Invalid value/],
    [{ ports: [{ port: 80 }, { port: 81 }] }, /ports\[1\]\.name: Duplicate value/],
    [
      { endpoints: Array.from({ length: 1001 }, () => ({ addresses: ['10.0.0.1'] })) },
      /endpoints: Too many: 1001/,
    ],
  ];
  for (const [fields, message] of wrong) refused(await call('POST', slices, slice(fields)), message);
});

test('each address of a service is an IPAddress, for as long as it has it', async () => {
  const api = await serveDual();
  using _ = keepAddressObjects(api.api);
  const addresses = async () =>
    (await api.call('GET', '/apis/networking.k8s.io/v1/ipaddresses')).body.items.map(
      ({ metadata, spec }: Json) => `${metadata.name} ${spec.parentRef.name}`,
    );
  await made(api, service('dual', V6));
  await made(api, service('headless', { clusterIP: 'None' }));
  assert.deepEqual(await addresses(), ['10.96.0.1 dual', 'fd00:10:96::1 dual']);
  await changed(api, 'dual', { spec: { ipFamilyPolicy: 'SingleStack' } });
  assert.deepEqual(await addresses(), ['10.96.0.1 dual']);
  await api.call('DELETE', `${PATH}/dual`);
  assert.deepEqual(await addresses(), []);
});

for (const path of kubectls())
  test(`${path}: expose, get and describe of services, slices, ranges and addresses`, {
    skip: NO_KUBECTL,
  }, async () => {
    const served = await serveDual();
    using _ = keepAddressObjects(served.api);
    const { ok } = kubectlAt(path, ['--server', served.url]);
    await ok(['run', 'web', '--image=any', '--port=8080', '--labels=app=web']);
    await ok(['expose', 'pod', 'web', '--port=80', '--target-port=8080', '--type=NodePort']);
    assert.match(await ok(['get', 'svc', 'web']), /web +NodePort +10\.96\.0\.1 +<none> +80:30086\/TCP/);
    await ok(['expose', 'pod', 'web', '--name=lb', '--port=80', '--type=LoadBalancer']);
    assert.match(await ok(['get', 'svc', 'lb']), /lb +LoadBalancer +10\.96\.0\.2 +<pending> +80:30087\/TCP/);
    await ok([
      'patch',
      'svc',
      'lb',
      '--subresource=status',
      '--type=merge',
      '-p',
      '{"status":{"loadBalancer":{"ingress":[{"ip":"203.0.113.7"}]}}}',
    ]);
    assert.match(await ok(['get', 'svc', 'lb']), / 203\.0\.113\.7 /);
    const ips = ['10.244.0.2', '10.244.0.3', '10.244.0.4', '10.244.0.5'];
    await ok(
      ['apply', '-f', '-'],
      JSON.stringify({
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
        addressType: 'IPv4',
        ports: [{ port: 8080, name: '' }],
        endpoints: ips.map((ip) => ({ addresses: [ip], conditions: { ready: true } })),
      }),
    );
    assert.match(
      await ok(['get', 'endpointslices']),
      /^NAME +ADDRESSTYPE +PORTS +ENDPOINTS +AGE\nweb-1 +IPv4 +8080 +10\.244\.0\.2,10\.244\.0\.3,10\.244\.0\.4 \+ 1 more\.\.\. /,
    );
    assert.match(await ok(['get', 'servicecidrs']), /kubernetes +10\.96\.0\.0\/16,fd00:10:96::\/112/);
    assert.match(await ok(['get', 'ipaddresses']), /10\.96\.0\.1 +services\/default\/web/);
    assert.match(await ok(['describe', 'svc', 'web']), /NodePort: +<unset> +30086\/TCP/);
  });
