/** Notifications of the real kernel: none missing, losses told, no process kept alive. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { parseCidr } from '../../src/base/ip/cidr.ts';
import type { KernelEvent, Operation } from '../../src/edge/netlink/kernel.ts';
import { watchKernel } from '../../src/edge/netlink/monitor.ts';
import { NetworkNamespace } from '../../src/edge/netlink/namespace.ts';
import { openKernel } from '../../src/edge/netlink/rtnetlink.ts';
import { createNamespace } from '../namespace.ts';
import { pause, until } from '../until.ts';

const NOBODY: ReadonlySet<number> = new Set();

void test('each change of a route is told, once', async () => {
  using namespace = createNamespace();
  using opened = NetworkNamespace.open(namespace.path);
  using kernel = openKernel(opened);
  const heard: KernelEvent[] = [];
  using _watch = watchKernel({ namespace: opened, own: NOBODY, onEvent: (event) => heard.push(event) });
  const total = 2000;
  for (let from = 0; from < total; from += 100) {
    kernel.apply(routes(from, from + 100));
    await until('these routes were heard of', () => heard.length >= from + 100);
  }
  await pause(20);
  assert.deepEqual(
    heard,
    heard.map((event) => ({ ...event, kind: 'route', change: 'new' })),
  );
  assert.equal(heard.length, total);
});

void test('what was lost while nobody could listen is told as an overrun, and later changes are heard', async () => {
  using namespace = createNamespace();
  using opened = NetworkNamespace.open(namespace.path);
  using kernel = openKernel(opened);
  const heard: KernelEvent[] = [];
  using _watch = watchKernel({ namespace: opened, own: NOBODY, onEvent: (event) => heard.push(event) });
  // The event loop does not turn in between.
  kernel.apply(routes(0, 20_000));
  await until('the overrun was told', () => heard.some(({ kind }) => kind === 'overrun'));
  assert.ok(heard.length < 20_000);
  kernel.apply([{ op: 'link.create', link: { name: 'br0', kind: { type: 'bridge' } } }]);
  await until('the new link was heard of', () => heard.some(({ kind }) => kind === 'link'));
});

void test('after its end a watch is silent', async () => {
  using namespace = createNamespace();
  using opened = NetworkNamespace.open(namespace.path);
  using kernel = openKernel(opened);
  let count = 0;
  const watch = watchKernel({ namespace: opened, own: NOBODY, onEvent: () => count++ });
  kernel.apply(routes(0, 10));
  watch[Symbol.dispose]();
  const before = count;
  kernel.apply(routes(10, 20));
  await pause(20);
  assert.equal(count, before);
});

for (const [title, ending] of [
  ['by itself', ''],
  ['by process.exit', 'process.exit(0);'],
] as const) {
  void test(`a process that still watches ends ${title}`, async () => {
    using namespace = createNamespace();
    const { stdout } = await run(namespace.path, `console.log('watching'); ${ending}`);
    assert.equal(stdout, 'watching\n');
  });
}

void test('what a listener throws is an uncaught exception, not silence', async () => {
  using namespace = createNamespace();
  const program = `
    process.on('uncaughtException', ({ message }) => { console.log(message); process.exit(3); });
    kernel.apply([{ op: 'link.change', change: { index: 1, up: true } }]);
    setInterval(() => {}, 1000);`;
  await assert.rejects(run(namespace.path, program), { code: 3, stdout: 'from the listener\n' });
});

/** A program of its own that watches, with a listener that throws. */
function run(path: string, program: string) {
  const source = new URL('../../src/edge/netlink/', import.meta.url).href;
  const script = `
    import { watchKernel } from '${source}monitor.ts';
    import { NetworkNamespace } from '${source}namespace.ts';
    import { openKernel } from '${source}rtnetlink.ts';
    const namespace = NetworkNamespace.open('${path}');
    const kernel = openKernel(namespace);
    globalThis.watch = watchKernel({
      namespace,
      own: new Set(),
      onEvent: () => { throw new Error('from the listener'); },
    });
    ${program}`;
  return promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    timeout: 30_000,
  });
}

function routes(from: number, to: number): Operation[] {
  return Array.from({ length: to - from }, (_, offset) => {
    const i = from + offset;
    return {
      op: 'route.replace',
      route: {
        destination: parseCidr(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}/32`),
        table: 254,
        protocol: 70,
        type: 'unreachable',
        scope: 0,
      },
    };
  });
}
