import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { until } from '../../until.ts';
import { serveApi, type TestApi } from './fixture.ts';
import { type Kubectl, kubectlAt, kubectls, NO_KUBECTL } from './kubectl.ts';

/** One of everything. */
const EVERYTHING = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers:
  - {name: main, image: any, command: [sleep, "100"], ports: [{containerPort: 80, name: http}], env: [{name: A, value: b}]}
  - {name: side, image: any}
  volumes: [{name: scratch, emptyDir: {}}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http, protocol: TCP}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: lock}
spec: {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {}}], ports: [{port: 80, protocol: TCP}]}]}
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: floor}
spec: {tier: Admin, priority: 10, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1}
addressType: IPv4
endpoints: [{addresses: [10.244.0.2]}]
ports: [{port: 80, protocol: TCP, name: http}]
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: leader}
spec: {holderIdentity: me, leaseDurationSeconds: 10}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {a: "1", b: "1"}
`;

async function start(path: string): Promise<Kubectl & Pick<TestApi, 'call'>> {
  const { url, call } = await serveApi();
  return { ...kubectlAt(path, ['--server', url]), call };
}

test('kubectl is there', { skip: NO_KUBECTL }, () => assert.ok(kubectls().length > 0));

for (const path of kubectls()) {
  describe(path, () => {
    test('apply of one of everything, again without a change, changed, and deleted', async () => {
      const { ok } = await start(path);
      const created = await ok(['apply', '-f', '-'], EVERYTHING);
      assert.equal(created.match(/ created/g)?.length, 8);
      const again = await ok(['apply', '-f', '-'], EVERYTHING);
      assert.equal(again.match(/ unchanged/g)?.length, 8, again);
      const changed = EVERYTHING.replace('a: "1", b: "1"', 'a: "2"').replace('priority: 10', 'priority: 11');
      const third = await ok(['apply', '-f', '-'], changed);
      assert.equal(third.match(/ configured/g)?.length, 2, third);
      assert.equal(await ok(['get', 'cm', 'settings', '-o', 'jsonpath={.data}']), '{"a":"2"}');
      assert.equal(await ok(['get', 'cnp', 'floor', '-o', 'jsonpath={.spec.priority}']), '11');
      const deleted = await ok(['delete', '-f', '-'], EVERYTHING);
      assert.equal(deleted.match(/ deleted/g)?.length, 8);
      assert.equal(await ok(['get', 'pods,cm,svc,netpol,cnp', '-A', '-o', 'name']), '');
    });

    test('server-side apply, with a conflict and its cure', async () => {
      const { ok, run } = await start(path);
      await ok(['apply', '--server-side', '-f', '-'], EVERYTHING);
      await ok(['patch', 'cm', 'settings', '-p', '{"data":{"a":"9"}}']);
      const conflict = await run(['apply', '--server-side', '-f', '-'], EVERYTHING);
      assert.equal(conflict.status, 1);
      assert.match(conflict.stderr, /conflict with "kubectl-patch" using v1: \.data\.a/);
      await ok(['apply', '--server-side', '--force-conflicts', '-f', '-'], EVERYTHING);
      assert.equal(await ok(['get', 'cm', 'settings', '-o', 'jsonpath={.data.a}']), '1');
    });

    test('objects of client-side apply go over to server-side apply', async () => {
      const { ok, run } = await start(path);
      await ok(['apply', '-f', '-'], EVERYTHING);
      const { status, stderr } = await run(['apply', '--server-side', '-f', '-'], EVERYTHING);
      assert.deepEqual([status, stderr], [0, '']);
    });

    test('get: wide, by labels, by fields, as YAML, with labels as columns', async () => {
      const { ok } = await start(path);
      await ok(['apply', '-f', '-'], EVERYTHING);
      const wide = await ok(['get', 'pods', '-o', 'wide']);
      assert.match(
        wide,
        /^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES\nweb +0\/2 +Pending +0 +\d+s +<none> +<none>/,
      );
      assert.match(
        await ok(['get', 'svc', 'web', '-o', 'wide']),
        /ClusterIP +10\.96\.0\.1 +<none> +80\/TCP +\d+s +app=web/,
      );
      assert.match(await ok(['get', 'netpol']), /lock +app=web/);
      assert.match(await ok(['get', 'cnp']), /floor +Admin +10/);
      assert.match(await ok(['get', 'pods', '-l', 'app in (web)', '-L', 'app']), /APP\nweb .* web\n/);
      assert.equal(await ok(['get', 'pods', '-l', 'app!=web', '-o', 'name']), '');
      assert.equal(
        await ok(['get', 'pods', '-A', '--field-selector', 'status.phase=Pending', '-o', 'name']),
        'pod/web\n',
      );
      assert.match(await ok(['get', 'pod', 'web', '-o', 'yaml']), /restartPolicy: Always/);
      assert.match(await ok(['get', 'all']), /pod\/web[\s\S]*service\/web/);
    });

    test('label, annotate, patch of three kinds, edit', async () => {
      const { ok, run } = await start(path);
      await ok(['apply', '-f', '-'], EVERYTHING);
      await ok(['label', 'pod', 'web', 'tier=front']);
      await ok(['annotate', 'pod', 'web', 'note=x']);
      assert.notEqual((await run(['label', 'pod', 'web', 'tier=back'])).status, 0, 'without --overwrite');
      await ok(['label', '--overwrite', 'pod', 'web', 'tier=back']);
      await ok([
        'patch',
        'cm',
        'settings',
        '--type=json',
        '-p',
        '[{"op":"replace","path":"/data/a","value":"2"}]',
      ]);
      await ok(['patch', 'cm', 'settings', '--type=merge', '-p', '{"data":{"b":null}}']);
      await ok(['patch', 'pod', 'web', '-p', '{"spec":{"containers":[{"name":"side","image":"new"}]}}']);
      assert.equal(await ok(['get', 'cm', 'settings', '-o', 'jsonpath={.data}']), '{"a":"2"}');
      assert.equal(await ok(['get', 'pod', 'web', '-o', 'jsonpath={.spec.containers[*].image}']), 'any new');
      const edited = await run(['edit', 'cm', 'settings'], '', { KUBE_EDITOR: `sed -i 's/a: "2"/a: "3"/'` });
      assert.equal(edited.status, 0, edited.stderr);
      assert.equal(await ok(['get', 'cm', 'settings', '-o', 'jsonpath={.data.a}']), '3');
      assert.equal(
        await ok(['get', 'pod', 'web', '-o', 'jsonpath={.metadata.labels}']),
        '{"app":"web","tier":"back"}',
      );
    });

    test('create, run, describe, explain, dry run, diff, replace', async () => {
      const { ok, run } = await start(path);
      await ok(['create', 'namespace', 'other']);
      await ok(['create', 'configmap', 'made', '--from-literal=a=b']);
      assert.equal(await ok(['get', 'cm', 'made', '-o', 'jsonpath={.data.a}']), 'b');
      await ok(['create', 'service', 'clusterip', 'made', '--tcp=80:http']);
      assert.equal(await ok(['get', 'svc', 'made', '-o', 'jsonpath={.spec.ports[0].targetPort}']), 'http');
      await ok(['run', 'quick', '--image=any', '--', 'sleep', '5']);
      assert.match(await ok(['describe', 'pod', 'quick']), /Status: +Pending[\s\S]*Events: +<none>/);
      assert.match(await ok(['describe', 'svc', 'made']), /IP: +10\.96\.0\.1/);
      assert.match(await ok(['explain', 'networkpolicy.spec.ingress.ports']), /endPort\s+<integer>/);
      await ok(['apply', '--dry-run=server', '-f', '-'], EVERYTHING.split('---')[1]);
      assert.equal((await run(['get', 'pod', 'web'])).status, 1, 'a dry run makes nothing');
      await ok(['apply', '-f', '-'], EVERYTHING);
      const diff = await run(['diff', '-f', '-'], EVERYTHING.replace('a: "1"', 'a: "7"'));
      assert.equal(diff.status, 1);
      assert.match(diff.stdout, /-\s+a: "1"\n\+\s+a: "7"/);
      assert.match(await ok(['replace', '-f', '-'], EVERYTHING.split('---').at(-1)), /settings replaced/);
      assert.match(await ok(['api-resources']), /clusternetworkpolicies +cnp/);
    });

    test('what is wrong is told: an unknown field, an unknown object, an invalid one', async () => {
      const { run } = await start(path);
      const pod = (spec: string) => `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":${spec}}`;
      const unknown = await run(['apply', '-f', '-'], pod('{"containers":[{"name":"c","imge":"x"}]}'));
      assert.match(unknown.stderr, /unknown field "(spec\.containers\[0\]\.)?imge"/);
      assert.match((await run(['get', 'pod', 'p'])).stderr, /pods "p" not found/);
      const invalid = await run(['apply', '-f', '-'], pod('{"containers":[{"name":"NO"}]}'));
      assert.match(invalid.stderr, /spec\.containers\[0\]\.name: Invalid value: "NO"/);
    });

    test('get -w tells of every change, wait waits for a condition', async () => {
      const { ok, follow, call } = await start(path);
      await ok(['create', 'configmap', 'first']);
      const { lines, stop } = follow(['get', 'cm', '-w']);
      await until('it has begun', () => lines.some((line) => line.startsWith('first ')));
      await ok(['create', 'configmap', 'one', '--from-literal=a=b']);
      await until('it is told of', () => lines.some((line) => /^one +1/.test(line)));
      await ok(['patch', 'cm', 'one', '-p', '{"data":{"c":"d"}}']);
      await until('the change is told of', () => lines.some((line) => /^one +2/.test(line)));
      stop();
      assert.match(lines[0]!, /^NAME +DATA +AGE/);
      await ok(['run', 'quick', '--image=any']);
      const waiting = ok(['wait', '--for=condition=Ready', 'pod/quick', '--timeout=30s']);
      const conditions = [{ type: 'Ready', status: 'True' }];
      await call(
        'PATCH',
        '/api/v1/namespaces/default/pods/quick/status',
        { status: { conditions } },
        {
          'content-type': 'application/merge-patch+json',
        },
      );
      assert.equal(await waiting, 'pod/quick condition met\n');
    });
  });
}
