/** The real kernel where the fake has nothing to say: size, concurrency, its own words. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { parseCidr } from '../../src/base/ip/cidr.ts';
import { parseIp } from '../../src/base/ip/ip.ts';
import { type Kernel, NetlinkError, type Operation } from '../../src/edge/netlink/kernel.ts';
import { NetworkNamespace } from '../../src/edge/netlink/namespace.ts';
import type { Route } from '../../src/edge/netlink/objects.ts';
import { openKernel } from '../../src/edge/netlink/rtnetlink.ts';
import { createNamespace, type TestNamespace } from '../namespace.ts';

type Place = { kernel: Kernel; namespace: TestNamespace; opened: NetworkNamespace };

function inNamespace(title: string, body: (place: Place) => void | Promise<void>): void {
  void test(title, async () => {
    using namespace = createNamespace();
    using opened = NetworkNamespace.open(namespace.path);
    using kernel = openKernel(opened);
    await body({ kernel, namespace, opened });
  });
}

inNamespace("a refusal carries the kernel's own words and says what was tried", ({ kernel }) => {
  reach(kernel, bridge(10), { op: 'link.change', change: { index: 1, up: true } });
  const [error] = kernel.apply([
    {
      op: 'route.replace',
      route: {
        ...unreachable(0),
        destination: parseCidr('10.244.1.0/24'),
        type: 'unicast',
        gateway: parseIp('192.168.1.3'),
        linkIndex: 10,
      },
    },
  ]);
  assert.ok(error instanceof NetlinkError);
  assert.equal(error.errno, 'ENETUNREACH');
  assert.equal(error.extendedAck, 'Nexthop has invalid gateway');
  assert.equal(
    error.message,
    'route.replace 10.244.1.0/24 via 192.168.1.3 dev 10 table 254: ENETUNREACH (kernel: Nexthop has invalid gateway)',
  );
});

inNamespace('ten thousand routes are written and listed, each once', ({ kernel }) => {
  const routes = Array.from({ length: 10_000 }, (_, i) => unreachable(i));
  assert.ok(kernel.apply(routes.map(replace)).every((outcome) => outcome === undefined));
  const listed = kernel.routes({ protocol: 70 });
  assert.equal(listed.length, routes.length);
  assert.deepEqual(
    listed.map(({ destination }) => destination).toSorted(),
    routes.map(({ destination }) => destination).toSorted(),
  );
  // Every second one is refused: each outcome belongs to its own operation.
  const mixed = routes
    .slice(0, 3000)
    .map(
      (route, i): Operation => ({ op: 'route.delete', route: i % 2 === 0 ? route : { ...route, metric: 9 } }),
    );
  assert.deepEqual(
    kernel.apply(mixed).map((outcome) => outcome?.errno),
    mixed.map((_, i) => (i % 2 === 0 ? undefined : 'ESRCH')),
  );
  assert.equal(kernel.routes({ protocol: 70 }).length, 8500);
});

inNamespace('a list is whole even while others change what is listed', async ({ kernel, namespace }) => {
  const bridges = Array.from({ length: 80 }, (_, i) => bridge(1000 + 2 * i));
  reach(kernel, ...bridges);
  const expected = Array.from({ length: 80 }, (_, i) => 1000 + 2 * i);
  // Links between those that stay come and go, so that the kernel's position in its list moves all the time.
  const churn = Array.from(
    { length: 30 },
    (_, i) => `link add churn${i} index ${1001 + 2 * i} type bridge\nlink del churn${i}`,
  ).join('\n');
  const ip = spawn('nsenter', [`--net=${namespace.path}`, 'ip', '-batch', '-'], {
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  const ended = once(ip, 'exit');
  ip.stdin.end(`${churn}\n`);
  let lists = 0;
  while (ip.exitCode === null) {
    const indexes = new Set(kernel.links().map(({ index }) => index));
    assert.deepEqual(
      expected.filter((index) => !indexes.has(index)),
      [],
    );
    lists++;
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(await ended, [0, null]);
  assert.ok(lists > 1);
});

inNamespace('links are deleted off the event loop while requests go on', async ({ kernel }) => {
  const veths = Array.from(
    { length: 30 },
    (_, i): Operation => ({
      op: 'link.create',
      link: {
        index: 100 + i,
        name: `host${i}`,
        group: 64029,
        up: true,
        kind: { type: 'veth', peer: { name: `pod${i}`, index: 200 + i } },
      },
    }),
  );
  reach(kernel, ...veths);
  const done = new AbortController();
  const deletion = kernel.applyAsync([{ op: 'link.deleteGroup', group: 64029 }]).finally(() => done.abort());
  let asked = 0;
  while (!done.signal.aborted) {
    assert.equal(kernel.link(1)?.name, 'lo');
    asked++;
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(await deletion, [undefined]);
  assert.ok(asked > 0);
  assert.deepEqual(
    kernel.links().map(({ name }) => name),
    ['lo'],
  );
});

inNamespace('a kernel may be closed while something of it still runs', async ({ opened }) => {
  const other = openKernel(opened);
  const running = other.applyAsync([bridge(10), { op: 'link.delete', index: 10 }]);
  other.close();
  assert.deepEqual(await running, [undefined, undefined]);
});

inNamespace('a kernel opened in a namespace outlives the descriptor of it', ({ namespace }) => {
  const opened = NetworkNamespace.open(namespace.path);
  using kernel = openKernel(opened);
  opened[Symbol.dispose]();
  assert.equal(kernel.link('lo')?.index, 1);
  assert.throws(() => opened.fd, /is closed/);
  assert.throws(() => openKernel(opened), /is closed/);
});

function reach(kernel: Kernel, ...operations: Operation[]): void {
  for (const error of kernel.apply(operations)) if (error !== undefined) throw error;
}

function bridge(index: number): Operation {
  return { op: 'link.create', link: { index, name: `br${index}`, kind: { type: 'bridge' } } };
}

function replace(route: Route): Operation {
  return { op: 'route.replace', route };
}

function unreachable(i: number): Route {
  return {
    destination: parseCidr(`10.${100 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}/32`),
    table: 254,
    protocol: 70,
    type: 'unreachable',
    scope: 0,
  };
}
