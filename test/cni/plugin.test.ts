/** The executable by itself, against an agent that does as it is told. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { STDIN_LIMIT } from '../../src/edge/cni/frame.ts';
import { CNI_VERSIONS } from '../../src/edge/cni/version.ts';
import { createDirectory, startFakeAgent } from './fake-agent.ts';
import { environmentOf, PLUGIN, type PluginEnd, runPlugin } from './run-plugin.ts';

const FINE = { exitCode: 0, stdout: '' } as const;

function errorOf({ exitCode, stdout }: PluginEnd): { cniVersion: string; code: number; msg: string } {
  assert.equal(exitCode, 1);
  return JSON.parse(stdout);
}

void test('B: VERSION is answered without an agent and without reading standard input', async () => {
  const child = spawn(PLUGIN, [], { env: { CNI_COMMAND: 'VERSION' }, stdio: ['pipe', 'pipe', 'inherit'] });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  // Its input stays open until it has ended.
  const [exitCode] = await once(child, 'close');
  child.stdin.destroy();
  assert.equal(exitCode, 0);
  assert.deepEqual(JSON.parse(stdout), { cniVersion: '1.1.0', supportedVersions: [...CNI_VERSIONS] });
});

void test('A5: without a command it says what it is, on stderr, and ends well', async () => {
  for (const environment of [{}, { CNI_COMMAND: '' }]) {
    const { exitCode, stdout, stderr } = await runPlugin({ environment });
    assert.deepEqual({ exitCode, stdout }, FINE);
    assert.match(stderr, /Fairlead.*\n.*0\.3\.1 0\.4\.0 1\.0\.0 1\.1\.0/);
  }
});

void test('A6: an unknown command is refused without an agent', async () => {
  const { code, msg } = errorOf(await runPlugin({ environment: environmentOf('UPDATE"') }));
  assert.equal(code, 4);
  assert.match(msg, /one of ADD, DEL, CHECK, GC, STATUS, VERSION, and not UPDATE"$/);
});

void test('A7: standard input that cannot be read is 5', async () => {
  const directory = openSync('/', 'r');
  const child = spawn(PLUGIN, [], { env: environmentOf('ADD'), stdio: [directory, 'pipe', 'inherit'] });
  closeSync(directory);
  let stdout = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  const [exitCode] = await once(child, 'close');
  assert.equal(exitCode, 1);
  assert.equal(JSON.parse(stdout).code, 5);
});

void test('A8: standard input of 10 MB is refused with the limit, and one byte less than too much is carried', async () => {
  using directory = createDirectory();
  await using agent = await startFakeAgent(directory.path, () => FINE);
  const configuration = JSON.stringify({ agentSocket: agent.socketPath });
  const environment = environmentOf('STATUS');
  for (const length of [10_000_000, STDIN_LIMIT + 1]) {
    const end = await runPlugin({ environment, stdin: configuration.padEnd(length) });
    assert.deepEqual([errorOf(end).code, /1048576 bytes/.test(end.stdout)], [6, true]);
  }
  assert.equal(agent.requests.length, 0);
  assert.equal((await runPlugin({ environment, stdin: configuration.padEnd(STDIN_LIMIT) })).exitCode, 0);
  assert.equal(agent.requests[0]?.stdin.length, STDIN_LIMIT);
});

void test('an environment that is too long is refused', async () => {
  const environment = environmentOf('ADD', { CNI_ARGS: 'x'.repeat(70_000) });
  const { code, msg } = errorOf(await runPlugin({ environment, stdin: '{}' }));
  assert.equal(code, 4);
  assert.match(msg, /65536 bytes/);
});

void test('the agent gets the CNI variables and the input as they are, and its answer is the plugin’s', async () => {
  using directory = createDirectory();
  await using agent = await startFakeAgent(directory.path, (_, number) =>
    number === 0 ? { exitCode: 0, stdout: '{"ips":[]}' } : { exitCode: 1, stdout: '{"code":7}' },
  );
  const stdin = ` {"agentSocket": "${agent.socketPath}", "ä": [1, {"x": "\\"}"}], "broken": }`;
  const environment = environmentOf('ADD', {
    CNI_ARGS: 'A=é;B=',
    SECRET: 'x',
    FAIRLEAD_STATE: directory.path,
  });
  assert.deepEqual(await runPlugin({ environment, stdin }), {
    exitCode: 0,
    signal: null,
    stdout: '{"ips":[]}',
    stderr: '',
  });
  const request = agent.requests[0];
  assert.deepEqual({ ...request?.environment }, environmentOf('ADD', { CNI_ARGS: 'A=é;B=' }));
  assert.equal(request?.stdin, stdin);
  const refused = await runPlugin({ environment, stdin });
  assert.deepEqual([refused.exitCode, refused.stdout, refused.stderr], [1, '{"code":7}', '']);
});

void test('a long answer arrives whole', async () => {
  using directory = createDirectory();
  const stdout = JSON.stringify('é'.repeat(700_000));
  await using agent = await startFakeAgent(directory.path, () => ({ exitCode: 0, stdout }));
  const end = await runPlugin({ environment: environmentOf('ADD', { FAIRLEAD_SOCKET: agent.socketPath }) });
  assert.equal(end.exitCode, 0);
  assert.ok(end.stdout === stdout);
});

void test('nobody who reads the answer is a failure, and no signal', async () => {
  using directory = createDirectory();
  await using agent = await startFakeAgent(directory.path, () => ({
    exitCode: 0,
    stdout: 'x'.repeat(1_000_000),
  }));
  const env = environmentOf('ADD', { FAIRLEAD_SOCKET: agent.socketPath });
  const child = spawn(PLUGIN, [], { env, stdio: 'pipe' });
  child.stdout.destroy();
  child.stdin.end('{}');
  assert.deepEqual(await once(child, 'close'), [1, null]);
});

void test('the socket is that of the configuration, else of the environment', async () => {
  using first = createDirectory();
  using second = createDirectory();
  await using stated = await startFakeAgent(first.path, () => FINE);
  await using set = await startFakeAgent(second.path, () => FINE);
  const environment = environmentOf('STATUS', { FAIRLEAD_SOCKET: set.socketPath });
  await runPlugin({
    environment,
    stdin: JSON.stringify({ nested: { agentSocket: '/no' }, agentSocket: stated.socketPath }),
  });
  assert.deepEqual([stated.requests.length, set.requests.length], [1, 0]);
  for (const agentSocket of ['', 7, null, undefined])
    await runPlugin({ environment, stdin: JSON.stringify({ nested: { agentSocket: '/no' }, agentSocket }) });
  assert.deepEqual([stated.requests.length, set.requests.length], [1, 4]);
});

void test('it is linked statically, at a random place, with nothing writable that is executable', () => {
  const headers = execFileSync('readelf', ['--file-header', '--program-headers', '--wide', PLUGIN], {
    encoding: 'utf8',
  });
  assert.doesNotMatch(headers, /INTERP/);
  assert.match(headers, /GNU_RELRO/);
  assert.match(headers, /GNU_STACK.* RW /);
  assert.doesNotMatch(headers, /LOAD.* RWE /);
  assert.match(headers, /Type:\s+DYN/);
});
