/** EndpointSlices made from pods: what they say, that they say it in few writes, and that nothing is written without a change. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import type { ApiObject, Fields } from '../../lab/api/storage/object.ts';
import { ensureObject, setField } from '../../lab/api/validation/owner.ts';
import { keepSlices } from '../../lab/slices/controller.ts';
import { endpointGroups } from '../../lab/slices/endpoints.ts';
import { planSlices } from '../../lab/slices/plan.ts';
import { createLogger } from '../../src/base/log/logger.ts';
import { until } from '../until.ts';
import { type Json, podManifest, serveApi } from './api/fixture.ts';

const META = { resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z', namespace: 'default' };
const ZONES = new Map([
  ['node-1', 'a'],
  ['node-2', 'b'],
]);

function service(spec: Fields = {}): ApiObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { ...META, name: 's', uid: 'uid-s', labels: { team: 'x' } },
    spec: {
      clusterIP: '10.96.0.1',
      ipFamilies: ['IPv4'],
      ports: [{ name: '', protocol: 'TCP', port: 80, targetPort: 'http' }],
      ...spec,
    },
  };
}

type PodFacts = {
  id: number;
  ready: boolean;
  ending: boolean;
  finished: boolean;
  port: number | undefined;
  node: number;
  ips: number;
};

function pod({ id, ready, ending, finished, port, node, ips }: PodFacts): ApiObject {
  const [high, low] = [Math.floor(id / 200), (id % 200) + 2];
  const podIPs = [{ ip: `10.24${node}.${high}.${low}` }, { ip: `fd00::${node}:${high}:${low}` }].slice(
    0,
    ips,
  );
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...META,
      name: `p${id}`,
      uid: `uid-${id}`,
      ...(ending ? { deletionTimestamp: '2026-01-01T00:01:00Z' } : {}),
    },
    spec: {
      nodeName: `node-${node}`,
      containers: [
        {
          name: 'c',
          ports: port === undefined ? [] : [{ name: 'http', containerPort: port, protocol: 'TCP' }],
        },
      ],
    },
    status: {
      phase: finished ? 'Failed' : 'Running',
      podIPs,
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    },
  };
}

const web: PodFacts = { id: 0, ready: true, ending: false, finished: false, port: 8080, node: 1, ips: 2 };
const conditions = (facts: Partial<PodFacts>, spec: Fields = {}): unknown =>
  endpointGroups(service(spec), [pod({ ...web, ...facts })], ZONES)[0]!.endpoints[0]?.['conditions'];

test('the conditions of an endpoint are those of its pod', () => {
  const says = (ready: boolean, serving: boolean, terminating: boolean) => ({ ready, serving, terminating });
  assert.deepEqual(conditions({}), says(true, true, false));
  assert.deepEqual(conditions({ ready: false }), says(false, false, false));
  assert.deepEqual(conditions({ ending: true }), says(false, true, true));
  assert.deepEqual(conditions({ ending: true, ready: false }), says(false, false, true));
  assert.deepEqual(
    conditions({ ready: false }, { publishNotReadyAddresses: true }),
    says(true, false, false),
  );
  assert.deepEqual(conditions({ ending: true }, { publishNotReadyAddresses: true }), says(true, true, true));
  assert.equal(conditions({ finished: true }), undefined);
  assert.equal(conditions({ ips: 0 }), undefined);
});

test('ports are those of each pod, hints those that the service wishes', () => {
  const ports = (facts: Partial<PodFacts>[]) =>
    endpointGroups(
      service(),
      facts.map((one, id) => pod({ ...web, id, ...one })),
      ZONES,
    ).map((group) => [group.ports.map((port) => port['port']).join(), group.endpoints.length]);
  assert.deepEqual(ports([{ port: 8080 }, { port: 9090 }, { port: 8080 }, { port: undefined }]), [
    ['8080', 2],
    ['9090', 1],
    ['', 1],
  ]);
  const hints = (trafficDistribution: string, facts: Partial<PodFacts> = {}) =>
    endpointGroups(service({ trafficDistribution }), [pod({ ...web, ...facts })], ZONES)[0]!.endpoints[0]![
      'hints'
    ];
  const forZones = [{ name: 'a' }];
  assert.deepEqual(hints('PreferClose'), { forZones });
  assert.deepEqual(hints('PreferSameZone'), { forZones });
  assert.deepEqual(hints('PreferSameNode'), { forNodes: [{ name: 'node-1' }], forZones });
  assert.deepEqual(hints('PreferSameNode', { node: 3 }), { forNodes: [{ name: 'node-3' }] });
  assert.equal(hints('PreferClose', { node: 3 }), undefined);
  assert.equal(hints('PreferClose', { ready: false }), undefined);
});

/** Mostly of one group, so that some do not fit into one slice. */
const anyPod = fc.record({
  id: fc.nat(400),
  ready: fc.boolean(),
  ending: fc.boolean(),
  finished: fc.constantFrom(false, false, false, true),
  port: fc.constantFrom(8080, 8080, 8080, 8080, 8080, 9090, undefined),
  node: fc.constantFrom(1, 2, 3),
  ips: fc.constantFrom(0, 1, 2, 2, 2, 2),
});
const anyPods = fc.uniqueArray(anyPod, { selector: ({ id }) => id, maxLength: 330, size: 'max' });

test('whatever pods came and went: the slices say what there is, in at most a hundred each, and are left alone then', () => {
  let names = 0;
  const context = { changedAt: '2026-01-01T00:00:00.000Z', newName: () => String(++names) };
  const sync = (one: ApiObject, pods: readonly PodFacts[], slices: readonly ApiObject[]) => {
    const writes = planSlices(one, endpointGroups(one, pods.map(pod), ZONES), slices, context);
    const now = new Map(slices.map((slice) => [slice.metadata.name, slice]));
    for (const write of writes) {
      if (write.do === 'delete') now.delete(write.slice.metadata.name);
      else now.set((write.object as ApiObject).metadata.name, write.object as ApiObject);
    }
    return { writes, slices: [...now.values()] };
  };
  const expected = (pods: readonly PodFacts[], families: readonly string[]) =>
    families.flatMap((_, family) =>
      pods
        .filter(({ finished, ips }) => !finished && ips > family)
        .map(({ id, ready, ending, port }) => `${family} ${id} ${port ?? ''} ${ready && !ending} ${ending}`),
    );
  const said = (slices: readonly Json[]) =>
    slices.flatMap(({ addressType, ports, endpoints }) =>
      endpoints.map(
        ({ targetRef, conditions: { ready, terminating } }: Json) =>
          `${addressType === 'IPv4' ? 0 : 1} ${targetRef.uid.slice(4)} ${ports[0]?.port ?? ''} ${ready} ${terminating}`,
      ),
    );
  const sorted = (words: readonly string[]) => words.toSorted((a, b) => (a < b ? -1 : 1));
  fc.assert(
    fc.property(fc.array(anyPods, { minLength: 1, maxLength: 3 }), fc.boolean(), (histories, dual) => {
      const ipFamilies = dual ? ['IPv4', 'IPv6'] : ['IPv4'];
      const one = service({ ipFamilies });
      let slices: ApiObject[] = [];
      for (const pods of histories) {
        slices = sync(one, pods, slices).slices;
        assert.deepEqual(sorted(said(slices)), sorted(expected(pods, ipFamilies)));
        for (const slice of slices) assert.ok((slice['endpoints'] as unknown[]).length <= 100);
        for (const family of ipFamilies) assert.ok(slices.some((slice) => slice['addressType'] === family));
        assert.deepEqual(sync(one, pods, slices).writes, [], 'nothing has changed');
        const [first, ...rest] = pods;
        if (first === undefined) continue;
        const { writes } = sync(one, [{ ...first, ready: !first.ready }, ...rest], slices);
        assert.ok(writes.length <= ipFamilies.length, 'one pod is in one slice of a family');
      }
    }),
    { numRuns: 25 },
  );
});

test('the controller follows services, pods, nodes and what is done to its slices; those of others it leaves', async () => {
  const { api, call } = await serveApi();
  after(() => controller[Symbol.dispose]());
  const controller = keepSlices(api, createLogger({ level: 'error', format: 'text' }));
  const slices = async (): Promise<Json[]> =>
    (await call('GET', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices')).body.items;
  const addresses = async () =>
    (await slices()).flatMap(({ endpoints }) => endpoints.map((one: Json) => one.addresses[0]));
  const services = '/api/v1/namespaces/default/services';
  const settled = (what: string, ips: string[]) =>
    until(what, async () => String(await addresses()) === String(ips));
  await call('POST', services, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web' },
    spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
  });
  await until('there is a slice without endpoints', async () => (await slices()).length === 1);
  const node = ensureObject(api, 'Node', { metadata: { name: 'node-1' } });
  const made = await call(
    'POST',
    '/api/v1/namespaces/default/pods',
    podManifest('a', { labels: { app: 'web' }, spec: { nodeName: 'node-1' } }),
  );
  setField(api, made.body, ['status'], {
    phase: 'Running',
    podIP: '10.244.0.2',
    podIPs: [{ ip: '10.244.0.2' }],
    conditions: [{ type: 'Ready', status: 'True' }],
  });
  await settled('the pod is an endpoint', ['10.244.0.2']);
  const [slice] = await slices();
  assert.deepEqual(slice.metadata.labels, {
    'kubernetes.io/service-name': 'web',
    'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
  });
  assert.match(slice.metadata.annotations['endpoints.kubernetes.io/last-change-trigger-time'], /^20.*Z$/);
  setField(api, node, ['metadata', 'labels'], { 'topology.kubernetes.io/zone': 'a' });
  await until('the zone is told', async () => (await slices())[0].endpoints[0].zone === 'a');
  await call('DELETE', `/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/${slice.metadata.name}`);
  await settled('a slice that was deleted is back', ['10.244.0.2']);
  const { version } = api.store;
  setField(api, made.body, ['metadata', 'annotations'], { a: 'b' });
  await call('DELETE', '/api/v1/namespaces/default/pods/a');
  await settled('the pod is gone', []);
  assert.equal(api.store.version, version + 3, 'the annotation, the deletion, and one write of a slice');
  await call('POST', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'own', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['192.0.2.1'] }],
  });
  await call('DELETE', `${services}/web`);
  await until(
    'its slices go with a service',
    async () => String((await slices()).map(({ metadata }) => metadata.name)) === 'own',
  );
});
