/** A kind that a cluster may lack. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLUSTER_POLICY_KIND } from '../../src/cluster/kinds/cluster-policy.ts';
import { KubeClient } from '../../src/edge/kubernetes/client.ts';
import { Reflector } from '../../src/edge/kubernetes/reflector.ts';
import { until } from '../until.ts';
import { FakeApi, reply, status } from './fake-api.ts';

test('one that is not installed is none, until it is', async () => {
  using stack = new DisposableStack();
  const api = stack.use(await FakeApi.start());
  let installed = false;
  api.intercept = (_, response) => {
    if (!installed) reply(response, 404, status(404, 'the server could not find the requested resource'));
    return !installed;
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
});
