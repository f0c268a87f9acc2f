/** Connections of a namespace by the hundred thousand: picked by the kernel, and never all of them in memory. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { type Ip, ipToBytes, parseIp } from '../../src/base/ip/ip.ts';
import { openConntrack } from '../../src/edge/conntrack/conntrack.ts';
import { Writer } from '../../src/edge/netlink/codec/attribute.ts';
import { NLM_F_ACK, NLM_F_CREATE, writeMessage } from '../../src/edge/netlink/codec/message.ts';
import { NetworkNamespace } from '../../src/edge/netlink/namespace.ts';
import { NetlinkSocket } from '../../src/edge/netlink/socket.ts';
import { createNamespace } from '../namespace.ts';

const NETLINK_NETFILTER = 12;
const CT_NEW = 1 << 8;
/** As many as the machine lets one namespace have, but for some room. */
const LIMIT = Number(readFileSync('/proc/sys/net/netfilter/nf_conntrack_max', 'utf8'));
const ENTRIES = Math.min(300_000, LIMIT - 5_000);
const OF_THE_POD = 700;
const POD = parseIp('10.244.0.2');
const PEER = parseIp('10.244.1.9');
const UDP = 17;

const space = createNamespace('connections');
space.exec('ip', 'link', 'set', 'lo', 'up');
const namespace = NetworkNamespace.open(space.path);
after(() => {
  namespace[Symbol.dispose]();
  space[Symbol.dispose]();
});

type End = { ip: Ip; port: number };

/** A datagram of the one that the other answered, remembered for an hour. */
function writeConnection(writer: Writer, from: End, to: End): void {
  const tuple = (type: number, source: End, destination: End) =>
    writer.nested(type, () => {
      writer.nested(1, () =>
        writer.attribute(1, ipToBytes(source.ip)).attribute(2, ipToBytes(destination.ip)),
      );
      writer.nested(2, () =>
        writer.u8Attribute(1, UDP).u16BeAttribute(2, source.port).u16BeAttribute(3, destination.port),
      );
    });
  writeMessage(writer, CT_NEW, NLM_F_ACK | NLM_F_CREATE, () => {
    writer.u8(2).zeros(3);
    tuple(1, from, to);
    tuple(2, to, from);
    writer.attribute(7, Buffer.from([0, 0, 14, 16]));
  });
}

function load(): void {
  using socket = new NetlinkSocket(NETLINK_NETFILTER, namespace);
  const other = (index: number): End => ({
    ip: parseIp(`172.16.${(index >> 8) & 255}.${index & 255}`),
    port: 1024 + (index >> 16),
  });
  for (let index = 0; index < ENTRIES; ) {
    const writer = new Writer();
    for (let count = 0; count < 500 && index < ENTRIES; count++, index++) {
      if (index >= OF_THE_POD) writeConnection(writer, other(index), { ip: PEER, port: 53 });
      else if (index % 2 === 0)
        writeConnection(writer, { ip: POD, port: 2000 + index }, { ip: PEER, port: 53 });
      else writeConnection(writer, { ip: PEER, port: 2000 + index }, { ip: POD, port: 53 });
    }
    socket.transact(writer.finish());
  }
}

test('a walk meets every connection, some at a time; of one address the kernel picks them', async () => {
  load();
  using conntrack = openConntrack(namespace);
  const before = process.memoryUsage();
  let [met, most, peak] = [0, 0, 0];
  for await (const connections of conntrack.walk()) {
    met += connections.length;
    most = Math.max(most, connections.length);
    const { heapUsed, external } = process.memoryUsage();
    peak = Math.max(peak, heapUsed + external - before.heapUsed - before.external);
  }
  assert.equal(met, ENTRIES);
  assert.ok(most < 2000, `${most} at once`);
  assert.ok(peak < 100 << 20, `${peak >> 20} MiB more`);
  const begun = (await Array.fromAsync(conntrack.walk({ source: POD }))).flat();
  const answered = (await Array.fromAsync(conntrack.walk({ target: POD }))).flat();
  assert.deepEqual([begun.length, answered.length], [OF_THE_POD / 2, OF_THE_POD / 2]);
  assert.ok(begun.every(({ source, target }) => source === POD && target === PEER));
  assert.ok(answered.every(({ source, target }) => source === PEER && target === POD));
  // One that is left early, and cuts amid another, end well.
  for await (const _connections of conntrack.walk()) break;
  for await (const connections of conntrack.walk({ source: POD })) await conntrack.cut(connections);
  assert.deepEqual((await Array.fromAsync(conntrack.walk({ source: POD }))).flat(), []);
});
