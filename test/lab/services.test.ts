/** Services of a lab as its API, its kubelet and its DNS make them: slices, readiness, zones, names, ports of the nodes. */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { labDirectory } from '../../lab/state.ts';
import { reach } from '../agent/reach.ts';
import { until } from '../until.ts';
import type { Json } from './api/fixture.ts';
import { type Kubectl, kubectlOf, kubectls, NO_KUBECTL } from './api/kubectl.ts';
import { fairlead, startLab } from './fixture.ts';

const path = kubectls()[0];
const plan = await startLab({ api: true, dns: true, services: true, zones: 2, pods: 1, family: 'dual' });
const { name: lab } = plan.options;
const kubectl = path === undefined ? undefined : await kubectlOf(plan, path);
const { ok } = kubectl ?? ({} as Kubectl);
const flag = (name: string) => join(labDirectory(lab), name);
const SKIP = { skip: NO_KUBECTL };

function pod(name: string, labels: Record<string, string>, container: object, spec: object = {}): string {
  const containers = [{ name: 'main', image: 'any', ...container }];
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels },
    spec: { ...spec, containers },
  });
}

async function endpointsOf(service: string): Promise<Json[]> {
  const args = ['get', 'endpointslices', '-l', `kubernetes.io/service-name=${service}`, '-o', 'json'];
  const { items } = JSON.parse(await ok(args));
  return items.flatMap(({ addressType, endpoints }: Json) =>
    (endpoints ?? []).map((endpoint: Json) => ({ addressType, ...endpoint })),
  );
}

test('a pod is an endpoint when its probe says so, and still serves while it ends', SKIP, async () => {
  for (const name of ['ready', 'held']) writeFileSync(flag(name), '');
  // It ends when it may, not when it is told to.
  const script = `trap 'while [ -e ${flag('held')} ]; do sleep 0.05; done; exit 0' TERM; while :; do sleep 0.05; done`;
  const readinessProbe = {
    exec: { command: ['test', '-e', flag('ready')] },
    periodSeconds: 1,
    failureThreshold: 1,
  };
  await ok(
    ['apply', '-f', '-'],
    pod('slow', { app: 'slow' }, { command: ['bash', '-c', script], readinessProbe }),
  );
  await ok(['expose', 'pod', 'slow', '--port=80', '--target-port=8080']);
  await ok(['patch', 'svc', 'slow', '-p', '{"spec":{"trafficDistribution":"PreferClose"}}']);
  const conditions = async () =>
    JSON.stringify((await endpointsOf('slow')).map((endpoint) => endpoint.conditions));
  const says = (ready: boolean, serving: boolean, terminating: boolean) =>
    JSON.stringify([{ ready, serving, terminating }]);
  await until('it is ready', async () => (await conditions()) === says(true, true, false));
  const [endpoint] = await endpointsOf('slow');
  assert.match(endpoint.zone, /^zone-[12]$/);
  assert.deepEqual(endpoint.hints, { forZones: [{ name: endpoint.zone }] });
  rmSync(flag('ready'));
  await until('it is not ready', async () => (await conditions()) === says(false, false, false));
  writeFileSync(flag('ready'), '');
  await until('it is ready again', async () => (await conditions()) === says(true, true, false));
  await ok(['delete', 'pod', 'slow', '--wait=false']);
  await until('it is ending, and serves', async () => (await conditions()) === says(false, true, true));
  rmSync(flag('held'));
  await until('it has ended', async () => (await conditions()) === '[]');
});

test(
  'probes by HTTP and TCP are asked from the node; one that gets no answer is not ready',
  SKIP,
  async () => {
    const server =
      "require('http').createServer((q, a) => { a.statusCode = q.url === '/ok' ? 204 : 500; a.end() }).listen(8000)";
    const command = [process.execPath, '-e', server];
    const probe = (more: object) => ({ readinessProbe: { periodSeconds: 1, failureThreshold: 1, ...more } });
    const port = (number: number) => ({ command, ports: [{ name: 'web', containerPort: number }] });
    const labels = { app: 'probed' };
    await ok(
      ['apply', '-f', '-'],
      pod('http-yes', labels, { ...port(8000), ...probe({ httpGet: { path: '/ok', port: 'web' } }) }),
    );
    await ok(
      ['apply', '-f', '-'],
      pod('http-no', labels, { ...port(8000), ...probe({ httpGet: { path: '/', port: 'web' } }) }),
    );
    await ok(
      ['apply', '-f', '-'],
      pod('tcp-yes', labels, { ...port(8000), ...probe({ tcpSocket: { port: 8000 } }) }),
    );
    await ok(
      ['apply', '-f', '-'],
      pod('tcp-no', labels, { ...port(8001), ...probe({ tcpSocket: { port: 'web' } }) }),
    );
    await ok(['create', 'service', 'clusterip', 'probed', '--tcp=80:web']);
    const ready = async () =>
      (await endpointsOf('probed'))
        .filter(({ conditions }) => conditions.ready)
        .map(({ targetRef }) => targetRef.name);
    await until(
      'those that answer are ready',
      async () => (await ready()).length === 2 && (await ready()).every((name) => /yes/.test(name)),
    );
    assert.equal((await endpointsOf('probed')).length, 4);
    await ok(['delete', 'pod', '-l', 'app=probed', '--grace-period=0', '--force', '--wait=false']);
  },
);

test('names are known at each pod of the DNS, and pods ask by their search domains', SKIP, async () => {
  const dns = async (): Promise<Json[]> => {
    const slices = [
      '-n',
      'kube-system',
      'get',
      'endpointslices',
      '-l',
      'kubernetes.io/service-name=kube-dns',
    ];
    const { items } = JSON.parse(await ok([...slices, '-o', 'json']));
    return items
      .filter(({ addressType }: Json) => addressType === 'IPv4')
      .flatMap(({ endpoints }: Json) => endpoints ?? [])
      .filter(({ conditions }: Json) => conditions.ready);
  };
  await until('both pods of the DNS are ready', async () => (await dns()).length === 2);
  assert.equal(
    await ok(['-n', 'kube-system', 'get', 'svc', 'kube-dns', '-o', 'jsonpath={.spec.clusterIPs}']),
    '["10.96.0.10","fd00:10:96::a"]',
  );
  await ok(['apply', '-f', '-'], pod('named', { app: 'named' }, {}));
  await ok(['expose', 'pod', 'named', '--port=80', '--cluster-ip=10.96.7.7']);
  await ok(['expose', 'pod', 'named', '--name=headless', '--port=80', '--cluster-ip=None']);
  for (const [index, { addresses }] of (await dns()).entries()) {
    // As every pod of the cluster, but that each of the servers is asked by itself.
    const dnsConfig = {
      nameservers: addresses,
      searches: ['default.svc.cluster.local', 'svc.cluster.local', 'cluster.local'],
      options: [{ name: 'ndots', value: '5' }],
    };
    const client = `client-${index}`;
    await ok(
      ['apply', '-f', '-'],
      pod(client, {}, { command: ['sleep', '1000'] }, { dnsPolicy: 'None', dnsConfig }),
    );
    await ok(['wait', '--for=condition=Ready', `pod/${client}`, '--timeout=60s']);
    const lookup = async (name: string) => {
      const { stdout } = await fairlead(
        'lab',
        'exec',
        client,
        '--name',
        lab,
        '--',
        'getent',
        'ahostsv4',
        name,
      );
      return stdout.split(/\s/)[0];
    };
    await until('a service is known by its short name', async () => (await lookup('named')) === '10.96.7.7');
    assert.equal(await lookup('named.default.svc'), '10.96.7.7');
    const ip = await ok(['get', 'pod', 'named', '-o', 'jsonpath={.status.podIP}']);
    await until('a headless one leads to its pod', async () => (await lookup('headless')) === ip);
    assert.equal(await lookup('nothing'), '');
  }
  // By the address of the service, as any pod.
  await until('the service of the DNS answers', async () => {
    const asked = await fairlead('lab', 'exec', 'named', '--name', lab, '--', 'getent', 'ahostsv4', 'named');
    return asked.stdout.startsWith('10.96.7.7');
  });
  const { stdout } = await fairlead('lab', 'exec', 'named', '--name', lab, '--', 'cat', '/etc/resolv.conf');
  assert.match(
    stdout,
    /^search default\.svc\.cluster\.local .*\nnameserver 10\.96\.0\.10\nnameserver fd00:10:96::a\noptions ndots:5\n/,
  );
});

test('the hostPort of a manifest leads to its pod, from outside too', SKIP, async () => {
  const ports = [{ containerPort: 8080, hostPort: 9090, protocol: 'TCP' }];
  await ok(['apply', '-f', '-'], pod('port', {}, { ports }));
  await ok(['wait', '--for=condition=Ready', 'pod/port', '--timeout=60s']);
  const on = await ok(['get', 'pod', 'port', '-o', 'jsonpath={.spec.nodeName}']);
  const node = plan.nodes.find(({ name }) => name === on)!;
  for (const address of node.addresses)
    assert.equal((await reach(plan.world.namespace, 'tcp', address, 9090))?.name, 'port', address);
  await ok(['apply', '-f', '-'], pod('second', {}, { ports }));
  await ok(['wait', '--for=condition=Ready', 'pod/second', '--timeout=60s']);
  assert.notEqual(
    await ok(['get', 'pod', 'second', '-o', 'jsonpath={.spec.nodeName}']),
    on,
    'the port is taken there',
  );
});
