/** The addon by itself: what it accepts as a namespace, how it accounts for answers, what it leaves open. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Writer } from '../../src/edge/netlink/codec/attribute.ts';
import {
  RTM_DELLINK,
  RTM_GETLINK,
  writeLinkDeletion,
  writeLinkRequest,
} from '../../src/edge/netlink/codec/link.ts';
import {
  NLM_F_ACK,
  NLM_F_DUMP,
  readError,
  readMessages,
  writeMessage,
} from '../../src/edge/netlink/codec/message.ts';
import { NetworkNamespace } from '../../src/edge/netlink/namespace.ts';
import { native } from '../../src/edge/netlink/native.ts';
import { openKernel } from '../../src/edge/netlink/rtnetlink.ts';
import { NetlinkSocket } from '../../src/edge/netlink/socket.ts';
import { createNamespace } from '../namespace.ts';

const NETLINK_ROUTE = 0;
const NETLINK_NETFILTER = 12;

void test('a namespace is known by what it is, not by its path', () => {
  using namespace = createNamespace();
  using one = NetworkNamespace.open(namespace.path);
  using two = NetworkNamespace.open(`/run/netns/../netns/${namespace.name}`);
  using own = NetworkNamespace.own();
  assert.equal(one.identity, two.identity);
  assert.notEqual(one.identity, own.identity);
});

void test('what is no network namespace is refused, and nobody waits for it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'flt-'));
  const file = join(folder, 'file');
  const fifo = join(folder, 'fifo');
  writeFileSync(file, '');
  execFileSync('mkfifo', [fifo]);
  const wrong = [
    file,
    fifo,
    folder,
    '/dev/zero',
    '/dev/tty',
    '/proc/self/ns/mnt',
    '/proc/self/ns/user',
    '/proc/self/stat',
  ];
  for (const path of wrong) {
    assert.throws(() => NetworkNamespace.open(path), {
      code: 'FL_NAMESPACE',
      message: `network namespace ${JSON.stringify(path)} is not a network namespace`,
    });
  }
  for (const path of [join(folder, 'missing'), join(file, 'below'), '']) {
    assert.throws(() => NetworkNamespace.open(path), { code: 'FL_NAMESPACE', message: /does not exist$/ });
  }
  assert.throws(() => NetworkNamespace.open('/run/netns/a\0b'), { code: 'FL_NAMESPACE' });
  rmSync(folder, { recursive: true });
});

void test('opening sockets elsewhere leaves the thread where it was', () => {
  const before = readlinkSync('/proc/thread-self/ns/net');
  using namespace = createNamespace();
  using opened = NetworkNamespace.open(namespace.path);
  for (let i = 0; i < 100; i++) openKernel(opened).close();
  using kernel = openKernel(opened);
  assert.equal(readlinkSync('/proc/thread-self/ns/net'), before);
  assert.deepEqual(
    kernel.links().map(({ name }) => name),
    ['lo'],
  );
});

void test('what was opened is closed again', async () => {
  using namespace = createNamespace();
  const before = readdirSync('/proc/self/fd').length;
  for (let i = 0; i < 500; i++) {
    using opened = NetworkNamespace.open(namespace.path);
    using kernel = openKernel(opened);
    assert.throws(() => NetworkNamespace.open('/proc/self/ns/mnt'));
    if (i % 50 === 0) await kernel.applyAsync([]);
    if (i % 50 === 1) await kernel.applyAsync([{ op: 'link.delete', index: 999 }]);
  }
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(readdirSync('/proc/self/fd').length, before);
});

void test('answers that nobody waited for are not taken for those of the next request', () => {
  using namespace = createNamespace();
  using opened = NetworkNamespace.open(namespace.path);
  using socket = new NetlinkSocket(NETLINK_ROUTE, opened);
  // A question and a refused change without a wish for an acknowledgement: both are answered, later.
  const careless = new Writer();
  writeMessage(careless, RTM_GETLINK, 0, (to) => writeLinkRequest(to, 'lo'));
  writeMessage(careless, RTM_DELLINK, 0, (to) => writeLinkDeletion(to, { index: 999 }));
  assert.equal(socket.transact(careless.finish()).replies.length, 0);
  const { replies, firstSequence } = socket.transact(request(RTM_GETLINK, NLM_F_ACK, 'lo'));
  assert.deepEqual(
    [...readMessages(replies)].map(({ sequence }) => sequence),
    [firstSequence, firstSequence],
  );
});

void test('every message of a request has its own answer', () => {
  using namespace = createNamespace();
  using opened = NetworkNamespace.open(namespace.path);
  using socket = new NetlinkSocket(NETLINK_ROUTE, opened);
  const writer = new Writer();
  writeMessage(writer, RTM_DELLINK, NLM_F_ACK, (to) => writeLinkDeletion(to, { index: 999 }));
  writeMessage(writer, RTM_GETLINK, NLM_F_DUMP, (to) => writeLinkRequest(to));
  writeMessage(writer, RTM_DELLINK, NLM_F_ACK, (to) => writeLinkDeletion(to, { index: 1 }));
  const { replies, firstSequence } = socket.transact(writer.finish());
  const bySequence = [...readMessages(replies)].map((message) => ({
    at: message.sequence - firstSequence,
    errno: message.type === 2 ? readError(message)?.errno : undefined,
  }));
  assert.deepEqual(
    bySequence.toSorted((a, b) => a.at - b.at),
    [
      { at: 0, errno: 'ENODEV' },
      { at: 1, errno: undefined },
      { at: 1, errno: undefined },
      { at: 2, errno: 'EOPNOTSUPP' },
    ],
  );
});

void test('bytes that are no messages are refused before they are sent', () => {
  using socket = new NetlinkSocket(NETLINK_ROUTE);
  for (const bytes of [Buffer.alloc(15), Buffer.from('11000000'.padEnd(32, '0'), 'hex'), Buffer.alloc(32)]) {
    assert.throws(() => socket.transact(bytes), { code: 'EBADMSG' });
  }
  assert.equal(socket.transact(Buffer.alloc(0)).replies.length, 0);
});

void test('a batch that netfilter does not even begin ends the request', () => {
  using namespace = createNamespace();
  using opened = NetworkNamespace.open(namespace.path);
  using socket = new NetlinkSocket(NETLINK_NETFILTER, opened);
  const BATCH_BEGIN = 16;
  const NO_SUCH_SUBSYSTEM = 99;
  const writer = new Writer();
  // struct nfgenmsg: family, version, subsystem in network order.
  writeMessage(writer, BATCH_BEGIN, 0, (to) => to.u8(0).u8(0).u8(0).u8(NO_SUCH_SUBSYSTEM));
  writeMessage(writer, (NO_SUCH_SUBSYSTEM << 8) | 1, NLM_F_ACK, (to) => to.u32(0));
  const { replies } = socket.transact(writer.finish());
  const [first] = [...readMessages(replies)];
  assert.equal(first && readError(first)?.errno, 'EINVAL');
});

void test('signals in the middle of requests do not spoil them', async () => {
  using namespace = createNamespace();
  using opened = NetworkNamespace.open(namespace.path);
  using kernel = openKernel(opened);
  let signals = 0;
  const count = () => {
    signals++;
  };
  process.on('SIGWINCH', count);
  const sender = spawn('sh', ['-c', `for i in $(seq 3000); do kill -WINCH ${process.pid}; done`]);
  const ended = once(sender, 'exit');
  while (sender.exitCode === null) {
    for (let i = 0; i < 50; i++) assert.equal(kernel.links().length, 1);
    await kernel.applyAsync([{ op: 'link.delete', index: 999 }]);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await ended;
  process.off('SIGWINCH', count);
  assert.ok(signals > 0);
});

void test('a unix socket tells who is at its other end', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'flt-'));
  const server = createServer();
  server.listen(join(folder, 'socket'));
  await once(server, 'listening');
  const client = connect(join(folder, 'socket'));
  const accepted: Socket = (await once(server, 'connection'))[0];
  assert.deepEqual(native.peerCredentials(Reflect.get(Reflect.get(accepted, '_handle'), 'fd')), {
    pid: process.pid,
    uid: process.getuid?.(),
    gid: process.getgid?.(),
  });
  client.destroy();
  accepted.destroy();
  server.close();
  rmSync(folder, { recursive: true });
  assert.throws(() => native.peerCredentials(0x7fff_0000), { code: 'EBADF' });
});

void test('arguments of the wrong type are a TypeError, not a crash', () => {
  for (const name of [
    'openNamespace',
    'closeFd',
    'openSocket',
    'transact',
    'transactAsync',
    'watch',
    'peerCredentials',
  ] as const) {
    assert.throws(() => call(name), TypeError);
    assert.throws(() => call(name, {}, 'text', null), TypeError);
  }
  assert.throws(() => call('openSocket', NETLINK_ROUTE, -1, Array(99).fill(1)), TypeError);
  assert.throws(() => call('openSocket', 9999, -1, []), { code: 'EPROTONOSUPPORT' });
  assert.throws(() => call('closeFd', 0x7fff_0000), { code: 'EBADF' });
});

function call(name: keyof typeof native, ...args: readonly unknown[]): unknown {
  return Reflect.apply(native[name], native, args);
}

function request(type: number, flags: number, name: string): Buffer {
  const writer = new Writer();
  writeMessage(writer, type, flags, (to) => writeLinkRequest(to, name));
  return writer.finish();
}
