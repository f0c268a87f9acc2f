/** Questions over UDP and TCP, one answer each. */
import { createSocket } from 'node:dgram';
import { createServer, type Socket } from 'node:net';
import { decode, encode, type Packet, streamEncode } from 'dns-packet';

/** Bytes of an answer over UDP that every client takes (RFC 1035 §4.2.1); more where it says so (RFC 6891 §6.2.3). */
const SMALLEST = 512;
const LARGEST = 4096;
const TRUNCATED = 1 << 9;
/** Milliseconds that an idle connection may stay. */
const IDLE_MS = 10_000;

export type Answering = (query: Packet) => Packet;
export type DnsServer = { port: number; close: () => Promise<void> };

/** @param port 0: one that is free. @returns once it listens. */
export async function serveDns(answer: Answering, port: number, address = '::'): Promise<DnsServer> {
  const tcp = createServer((socket) => converse(socket, answer));
  await new Promise<void>((resolve, reject) => {
    tcp.once('error', reject);
    tcp.listen(port, address, resolve);
  });
  const bound = (tcp.address() as { port: number }).port;
  const udp = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  udp.on('message', (message, { port: to, address: from }) => {
    const bytes = answerBytes(message, answer);
    if (bytes !== undefined) udp.send(bytes, to, from);
  });
  await new Promise<void>((resolve, reject) => {
    udp.once('error', reject);
    udp.bind(bound, address, resolve);
  });
  // An asker that is gone by then is no fault of the server.
  udp.on('error', () => undefined);
  return {
    port: bound,
    close: async () => {
      await new Promise<void>((resolve) => udp.close(resolve));
      await new Promise((resolve) => tcp.close(resolve));
    },
  };
}

/** What is no question is not answered: its sender may be another than it says. */
function answerBytes(message: Buffer, answer: Answering): Buffer | undefined {
  const query = queryOf(message);
  if (query === undefined) return undefined;
  const reply = answer(query);
  const bytes = encode(reply);
  const size = query.additionals?.find((record) => record.type === 'OPT')?.udpPayloadSize ?? SMALLEST;
  if (bytes.length <= Math.min(LARGEST, Math.max(SMALLEST, size))) return bytes;
  const { answers: _, additionals: __, authorities: ___, ...head } = reply;
  return encode({ ...head, flags: (reply.flags ?? 0) | TRUNCATED });
}

function converse(socket: Socket, answer: Answering): void {
  let read = Buffer.alloc(0);
  socket.setTimeout(IDLE_MS, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    read = Buffer.concat([read, chunk]);
    while (read.length >= 2 && read.length >= 2 + read.readUInt16BE(0)) {
      const query = queryOf(read.subarray(2, 2 + read.readUInt16BE(0)));
      read = read.subarray(2 + read.readUInt16BE(0));
      if (query === undefined) return void socket.destroy();
      socket.write(streamEncode(answer(query)));
    }
  });
}

function queryOf(message: Buffer): Packet | undefined {
  try {
    const query = decode(message);
    return query.type === 'query' ? query : undefined;
  } catch {
    return undefined;
  }
}
