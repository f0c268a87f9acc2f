/** A kind that a cluster may lack. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLUSTER_POLICY_KIND } from '../../src/cluster/kinds/cluster-policy.ts';
import { KubeClient } from '../../src/edge/kubernetes/client.ts';
import { readKind } from '../../src/edge/kubernetes/read-kind.ts';
import { Reflector } from '../../src/edge/kubernetes/reflector.ts';
import { until } from '../until.ts';
import { FakeApi, reply, status } from './fake-api.ts';

const VERSION = 'policy.networking.k8s.io/v1alpha2';
const RESOURCES = {
  kind: 'APIResourceList',
  groupVersion: VERSION,
  resources: [{ name: 'clusternetworkpolicies' }],
};
const groups = (installed: boolean) => ({
  kind: 'APIGroupList',
  groups: [{ name: 'apps', versions: [{ groupVersion: installed ? VERSION : 'apps/v1' }] }],
});

test('one that is not installed is none, until it is', async () => {
  using stack = new DisposableStack();
  const api = stack.use(await FakeApi.start());
  let installed = false;
  /** Whether discovery answers, too. */
  let knowsItself = true;
  api.intercept = ({ pathname }, response) => {
    if (pathname === '/apis' && knowsItself) reply(response, 200, groups(installed));
    else if (pathname === `/apis/${VERSION}` && knowsItself) reply(response, 200, RESOURCES);
    else if (!installed || !knowsItself) reply(response, 404, status(404, 'the server could not find it'));
    else return false;
    return true;
  };
  const client = stack.use(
    new KubeClient({ server: new URL(`http://127.0.0.1:${api.port}`), origin: 'test' }),
  );
  let calls = 0;
  const reflector = stack.use(
    new Reflector({
      client,
      kind: CLUSTER_POLICY_KIND,
      onChange: () => calls++,
      times: { absentMs: 5, settleMs: 1 },
    }),
  );
  await until('it is known that there are none', () => reflector.complete && calls > 0);
  assert.equal(reflector.objects.size, 0);
  assert.deepEqual(reflector.problems, [], 'that is no problem');
  api.put(CLUSTER_POLICY_KIND.path, { metadata: { name: 'guard', uid: 'u' } });
  installed = true;
  await until('it is read', () => reflector.objects.has('guard'));

  knowsItself = false;
  api.cut();
  await until('a server that knows nothing is in trouble', () =>
    /not up to date since .*\/apis: 404/.test(reflector.problems.join()),
  );
  assert.ok(reflector.objects.has('guard'), 'and says nothing of what there is');
  await assert.rejects(readKind(client, CLUSTER_POLICY_KIND), /404/);

  installed = false;
  knowsItself = true;
  await until('it is known to be gone', () => reflector.objects.size === 0);
  assert.equal(reflector.state.phase, 'synced');
  assert.deepEqual(await readKind(client, CLUSTER_POLICY_KIND), { objects: [], problems: [] });
});
