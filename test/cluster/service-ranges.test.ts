/** Where services have their addresses: as the cluster says it, where it does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '../../src/base/log/logger.ts';
import { SERVICE_RANGE_KIND } from '../../src/cluster/kinds/service-range.ts';
import { followServiceRanges } from '../../src/cluster/ranges/service-ranges.ts';
import { KubeClient } from '../../src/edge/kubernetes/client.ts';
import { FakeApi, reply, status } from '../kube/fake-api.ts';
import { until } from '../until.ts';

const { path } = SERVICE_RANGE_KIND;

async function start(prepare: (api: FakeApi) => void) {
  const stack = new DisposableStack();
  const api = stack.use(await FakeApi.start());
  prepare(api);
  const client = stack.use(
    new KubeClient({ server: new URL(`http://127.0.0.1:${api.port}`), origin: 'test' }),
  );
  const lines: string[] = [];
  const log = createLogger({ level: 'warn', format: 'text' }, (line) => void lines.push(line));
  const found = { changes: 0 };
  const services = stack.use(followServiceRanges(client, () => found.changes++, log, 20));
  return { api, services, lines, found, [Symbol.dispose]: () => stack.dispose() };
}

const serviceCidr = (name: string, ...cidrs: unknown[]) => ({
  metadata: { name, uid: name, resourceVersion: '1' },
  spec: { cidrs },
});

test('all ranges of all objects; what is no range is named, and a change is told once', async () => {
  using it = await start((api) => {
    api.put(path, serviceCidr('kubernetes', '10.96.0.0/12', 'fd00:10:96::/112'));
    api.put(path, serviceCidr('odd', '10.1.2.3/8'));
  });
  await until('they are known', () => it.services.ranges.length === 2);
  assert.deepEqual(it.services.ranges, ['10.96.0.0/12', 'fd00:10:96::/112']);
  assert.match(it.lines[0]!, /servicecidr odd: spec\.cidrs: "10\.1\.2\.3\/8" has host bits set/);
  it.api.put(path, serviceCidr('more', '10.112.0.0/16'));
  await until('the third is known', () => it.services.ranges.length === 3);
  assert.equal(it.found.changes, 2);
});

test('a cluster that lacks the kind, an account without the right, and an API that fails: none, and it is asked again', async () => {
  let [code, asked] = [404, 0];
  using it = await start((api) => {
    api.put(path, serviceCidr('kubernetes', '10.96.0.0/12'));
    api.intercept = (_, response) => {
      asked++;
      if (code !== 200) reply(response, code, status(code, 'no'));
      return code !== 200;
    };
  });
  for (const each of [404, 403, 500]) {
    code = each;
    const before = asked;
    await until('it was asked twice', () => asked >= before + 2);
    assert.deepEqual(it.services.ranges, []);
  }
  code = 200;
  await until('they are known', () => it.services.ranges.length === 1);
  assert.deepEqual(it.lines, []);
});
