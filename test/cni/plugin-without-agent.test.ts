/** What the executable says when no agent answers: none is there, it dies, it hangs, or it talks nonsense. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import * as fc from 'fast-check';
import { decodeRequest, encodeReply } from '../../src/edge/cni/frame.ts';
import { CNI_VERSIONS } from '../../src/edge/cni/version.ts';
import { type Conduct, createDirectory, startFakeAgent } from './fake-agent.ts';
import { environmentOf, type PluginEnd, runPlugin } from './run-plugin.ts';

const SOURCES = join(import.meta.dirname, '../../cmd/cni');
const FINE = { exitCode: 0, stdout: '' } as const;

type Call = {
  command: string;
  directory: string;
  more?: object;
  environment?: Record<string, string>;
  program?: string;
};

function call({ command, directory, more, environment, program }: Call): Promise<PluginEnd> {
  const configuration = {
    cniVersion: '1.1.0',
    name: 'net',
    agentSocket: join(directory, 'agent.sock'),
    stateDirectory: join(directory, 'state'),
    ...more,
  };
  return runPlugin({
    environment: environmentOf(command, environment),
    stdin: JSON.stringify(configuration),
    ...(program === undefined ? {} : { program }),
  });
}

function errorOf({ exitCode, stdout }: PluginEnd): { cniVersion: string; code: number; msg: string } {
  assert.equal(exitCode, 1);
  return JSON.parse(stdout);
}

/** Paths of the DELs that are kept. */
function kept(directory: string): string[] {
  try {
    return readdirSync(join(directory, 'state/pending')).map((file) =>
      join(directory, 'state/pending', file),
    );
  } catch {
    return [];
  }
}

void test('D, G: without an agent ADD, CHECK and GC are 11 and STATUS is 50, with what to do', async () => {
  using directory = createDirectory();
  for (const [command, code] of Object.entries({ ADD: 11, CHECK: 11, GC: 11, STATUS: 50 })) {
    const end = await call({ command, directory: directory.path });
    const error = errorOf(end);
    assert.equal(error.code, code, command);
    assert.match(error.msg, /not running on this node; start it, or look into its log, and try again/);
    assert.ok(error.msg.endsWith(join(directory.path, 'agent.sock')));
    assert.match(end.stderr, /^fairlead-cni: .*No such file or directory$/m);
  }
});

void test('A15: the plugin’s own errors are in the configuration’s version where that is supported', async () => {
  using directory = createDirectory();
  for (const cniVersion of CNI_VERSIONS) {
    const error = errorOf(await call({ command: 'ADD', directory: directory.path, more: { cniVersion } }));
    assert.equal(error.cniVersion, cniVersion);
  }
  for (const cniVersion of ['0.2.0', '9', 7, null]) {
    const error = errorOf(await call({ command: 'ADD', directory: directory.path, more: { cniVersion } }));
    assert.equal(error.cniVersion, '1.1.0');
  }
});

void test('D: without an agent DEL succeeds and is kept, once per attachment, for root alone', async () => {
  using directory = createDirectory();
  for (const more of [{ mtu: 1 }, { mtu: 2 }]) {
    const { exitCode, stdout, stderr } = await call({ command: 'DEL', directory: directory.path, more });
    assert.deepEqual({ exitCode, stdout }, FINE);
    assert.match(stderr, /kept until one does/);
  }
  const [path = '', ...others] = kept(directory.path);
  assert.deepEqual(others, []);
  assert.match(path, /\/[0-9a-f]{16}\.del$/);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(join(path, '..')).mode & 0o777, 0o700);
  const request = decodeRequest(readFileSync(path));
  assert.deepEqual({ ...request?.environment }, environmentOf('DEL'));
  assert.equal(JSON.parse(request?.stdin ?? '').mtu, 2);
});

void test('D: DELs of other interfaces, containers and networks are kept beside each other', async () => {
  using directory = createDirectory();
  await Promise.all([
    call({ command: 'DEL', directory: directory.path }),
    call({ command: 'DEL', directory: directory.path, environment: { CNI_IFNAME: 'net1' } }),
    call({
      command: 'DEL',
      directory: directory.path,
      environment: { CNI_CONTAINERID: 'c2', CNI_NETNS: '' },
    }),
    call({ command: 'DEL', directory: directory.path, more: { name: 'other' } }),
  ]);
  assert.equal(kept(directory.path).length, 4);
});

void test('D: a DEL that can neither be done nor kept fails, and says where', async () => {
  using directory = createDirectory();
  writeFileSync(join(directory.path, 'file'), '');
  const more = { stateDirectory: join(directory.path, 'file') };
  const { code, msg } = errorOf(await call({ command: 'DEL', directory: directory.path, more }));
  assert.equal(code, 5);
  assert.ok(msg.endsWith(more.stateDirectory));
  const nameless = await call({ command: 'DEL', directory: directory.path, environment: { CNI_IFNAME: '' } });
  assert.equal(errorOf(nameless).code, 4);
});

void test('an agent that dies over a request: ADD is 11, DEL is kept', async () => {
  using directory = createDirectory();
  await using agent = await startFakeAgent(directory.path, () => 'die');
  const { code, msg } = errorOf(await call({ command: 'ADD', directory: directory.path }));
  assert.equal(code, 11);
  assert.match(msg, /ended while it worked on this; try again/);
  assert.equal((await call({ command: 'DEL', directory: directory.path })).exitCode, 0);
  assert.equal(kept(directory.path).length, 1);
  assert.equal(agent.requests.length, 3);
});

void test('an agent that is back when a DEL has just been kept gets it at once, and nothing is kept', async () => {
  using directory = createDirectory();
  await using agent = await startFakeAgent(directory.path, (_, number) => (number === 0 ? 'die' : FINE));
  const { exitCode, stdout } = await call({ command: 'DEL', directory: directory.path });
  assert.deepEqual({ exitCode, stdout }, FINE);
  assert.equal(agent.requests.length, 2);
  assert.deepEqual(kept(directory.path), []);
});

void test('an ADD that succeeds settles a kept DEL of the same attachment, one that fails does not', async () => {
  using directory = createDirectory();
  await call({ command: 'DEL', directory: directory.path });
  await call({ command: 'DEL', directory: directory.path, environment: { CNI_CONTAINERID: 'c2' } });
  await using _agent = await startFakeAgent(directory.path, (_request, number) => ({
    exitCode: number === 0 ? 1 : 0,
    stdout: '{}',
  }));
  await call({ command: 'ADD', directory: directory.path });
  assert.equal(kept(directory.path).length, 2);
  await call({ command: 'ADD', directory: directory.path });
  assert.equal(kept(directory.path).length, 1);
});

void test('an answer that is none counts as no answer', async () => {
  using directory = createDirectory();
  const nonsense: Buffer[] = [
    Buffer.alloc(0),
    Buffer.from('FLC1'),
    Buffer.from('HTTP/1.1 200 OK\r\n\r\n'),
    Buffer.from('FLC1\0\0\0\0\0\0\0\x02{'),
    Buffer.from('FLC1\0\0\0\0\0\0\0\x01{}'),
    Buffer.from('FLC1\0\0\0\0\xff\xff\xff\xff{}', 'latin1'),
    Buffer.alloc(3 * 1024 * 1024, 'FLC1'),
  ];
  await using agent = await startFakeAgent(directory.path, (_, number): Conduct => nonsense[number] ?? 'die');
  for (const bytes of nonsense) {
    const end = await call({ command: 'ADD', directory: directory.path });
    assert.equal(errorOf(end).code, 11, bytes.toString('latin1', 0, 20));
  }
  assert.equal(agent.requests.length, nonsense.length);
});

void test('an agent that hangs over a request is given up in the end, and asked once', async () => {
  using directory = createDirectory();
  const program = join(directory.path, 'impatient');
  const sources = readdirSync(SOURCES).filter((file) => file.endsWith('.c'));
  execFileSync('cc', ['-DANSWER_MS=200', '-o', program, ...sources.map((file) => join(SOURCES, file))]);
  await using agent = await startFakeAgent(directory.path, () => 'silence');
  const { code, msg } = errorOf(await call({ command: 'ADD', directory: directory.path, program }));
  assert.equal(code, 11);
  assert.match(msg, /has not answered in time/);
  assert.equal((await call({ command: 'DEL', directory: directory.path, program })).exitCode, 0);
  assert.equal(kept(directory.path).length, 1);
  assert.equal(agent.requests.length, 2);
});

void test('an agent that takes no calls is given up: ADD is 11, DEL is kept', async () => {
  using directory = createDirectory();
  using _busy = await startBusyAgent(directory.path);
  const { code, msg } = errorOf(await call({ command: 'ADD', directory: directory.path }));
  assert.equal(code, 11);
  assert.match(msg, /takes no calls; look into its log/);
  assert.equal((await call({ command: 'DEL', directory: directory.path })).exitCode, 0);
  assert.equal(kept(directory.path).length, 1);
});

void test('an agent that is only busy is waited for', async () => {
  using directory = createDirectory();
  using busy = await startBusyAgent(directory.path);
  const end = call({ command: 'ADD', directory: directory.path });
  await sleep(100);
  busy.goOn();
  assert.equal((await end).exitCode, 0);
});

void test('a socket path that no socket can have is refused', async () => {
  using directory = createDirectory();
  for (const [length, code] of [
    [107, 11],
    [108, 7],
  ] as const) {
    const agentSocket = '/'.padEnd(length, 'x');
    const error = errorOf(await call({ command: 'ADD', directory: directory.path, more: { agentSocket } }));
    assert.equal(error.code, code);
  }
});

void test('texts of the configuration are understood as every JSON parser does', async () => {
  const anyText = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((text) => !text.includes('\0'));
  const anyNeighbor = fc.jsonValue({ maxDepth: 2 });
  await fc.assert(
    fc.asyncProperty(anyText, anyNeighbor, fc.boolean(), async (text, neighbor, escaped) => {
      const path = `/nowhere/${text}`;
      const literal = escaped ? escapeAll(path) : JSON.stringify(path);
      const stdin = `{"a":${JSON.stringify(neighbor)} ,\n"agentSocket" :${literal},"z":1}`;
      assert.equal(JSON.parse(stdin).agentSocket, path);
      const { msg } = errorOf(await runPlugin({ environment: environmentOf('STATUS'), stdin }));
      assert.ok(msg.endsWith(`Nobody answers at ${path}`), msg);
    }),
    { numRuns: 60 },
  );
});

/** A JSON text of escapes alone, with digits in both cases. */
function escapeAll(text: string): string {
  const units = Array.from({ length: text.length }, (_, at) => {
    const digits = text.charCodeAt(at).toString(16).padStart(4, '0');
    return `\\u${at % 2 === 0 ? digits : digits.toUpperCase()}`;
  });
  return `"${units.join('')}"`;
}

/** Stopped, with a full queue of callers; when it goes on it answers all of them with success. */
async function startBusyAgent(directory: string): Promise<{ goOn: () => void; [Symbol.dispose](): void }> {
  const path = join(directory, 'agent.sock');
  const reply = JSON.stringify(encodeReply({ exitCode: 0, stdout: '' }).toString('latin1'));
  const program = `require('node:net').createServer((socket) => socket.once('data', () => socket.end(Buffer.from(${reply}, 'latin1'))))
    .listen({ path: ${JSON.stringify(path)}, backlog: 1 }, () => console.log())`;
  const agent = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const waiting: Socket[] = [];
  await once(agent.stdout, 'data');
  agent.kill('SIGSTOP');
  while (await waits(path, waiting));
  return {
    goOn: () => agent.kill('SIGCONT'),
    [Symbol.dispose]: () => {
      agent.kill('SIGKILL');
      for (const socket of waiting) socket.destroy();
    },
  };
}

/** Whether one more caller waits in the queue; a full queue refuses it. */
function waits(path: string, waiting: Socket[]): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket
      .once('connect', () => {
        waiting.push(socket);
        resolve(true);
      })
      .once('error', () => resolve(false));
  });
}
