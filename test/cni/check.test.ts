/** CNI CHECK: what is not as ADD left it is named, one thing at a time; what others added is none of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { namespacePath, run } from '../../lab/namespaces.ts';
import { agentProcesses } from '../../lab/processes.ts';
import { errorOf, resultOf, startNode } from './containers.ts';

const { node, container, configured } = await startNode();

function inNode(...command: string[]): Promise<string> {
  return run('nsenter', [`--net=${namespacePath(node.namespace)}`, '--', ...command]);
}

async function added() {
  const { space, call } = container({
    runtimeConfig: { portMappings: [{ hostPort: 9081, containerPort: 80 }] },
  });
  const result = resultOf(await call('ADD'));
  const check = () => call('CHECK', configured({ prevResult: result }));
  assert.deepEqual(await check(), { exitCode: 0, stdout: '' });
  return { space, call, check, link: result.interfaces[0]!.name, ip: result.ips[0]!.address.split('/')[0]! };
}

const PODS_FAULTS: [string, string[], RegExp][] = [
  [
    'another MAC address',
    ['ip', 'link', 'set', 'eth0', 'address', '02:00:00:00:00:01'],
    /has MAC 02:00:00:00:00:01, not /,
  ],
  ['a missing address', ['ip', 'addr', 'flush', 'dev', 'eth0'], /lacks its address 10\.244\.0\./],
  ['a missing route', ['ip', 'route', 'del', 'default'], /route through eth0 is missing/],
  ['an interface that is down', ['ip', 'link', 'set', 'eth0', 'down'], /eth0 is down/],
];

for (const [what, damage, text] of PODS_FAULTS) {
  test(`E: ${what} in the pod`, async () => {
    const { space, call, check } = await added();
    space.exec(...damage);
    const { code, msg } = errorOf(await check());
    assert.equal(code, 103);
    assert.match(msg, text);
    await call('DEL');
  });
}

test('E: an interface that is gone', async () => {
  const { space, call, check } = await added();
  space.exec('ip', 'link', 'set', 'eth0', 'name', 'else0');
  assert.match(errorOf(await check()).msg, /interface eth0 is missing/);
  await call('DEL');
});

test("E: the node's route and a port of the node, before the agent could put them right", async () => {
  const { call, check, ip } = await added();
  // The agent mends both within a moment: it sleeps while they are destroyed, and the question is there before it wakes.
  const [agent] = agentProcesses(node.namespace);
  process.kill(agent!, 'SIGSTOP');
  await inNode('ip', 'route', 'del', ip);
  await inNode('nft', 'flush', 'map', 'inet', 'fairlead', 'hostports4');
  const answer = check();
  process.kill(agent!, 'SIGCONT');
  const { exitCode, stdout } = await answer;
  // Whichever the agent does first: it names what it has not mended yet.
  if (exitCode !== 0)
    assert.match(stdout, /the host's route to .* is missing|a port of the node does not lead to it/);
  await call('DEL');
});

test('E: what later plugins added is no fault', async () => {
  const { space, call, check } = await added();
  space.exec('ip', 'addr', 'add', '10.99.0.1/24', 'dev', 'eth0');
  space.exec('ip', 'route', 'add', '10.98.0.0/16', 'via', '10.244.0.1');
  space.exec('ip', 'link', 'set', 'eth0', 'mtu', '1400');
  assert.deepEqual(await check(), { exitCode: 0, stdout: '' });
  await call('DEL');
});
