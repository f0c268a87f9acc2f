/** Running flows of a test: a numbered datagram every millisecond, and a stream beside it; nothing of either may be lost. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { namespacePath } from '../../lab/namespaces.ts';
import { until } from '../until.ts';

/** Answers every datagram with itself, and counts a stream. */
const SERVER = `
  const socket = require('node:dgram').createSocket({ type: 'udp4', recvBufferSize: 4 << 20 });
  socket.on('message', (message, { port, address }) => socket.send(message, port, address));
  socket.bind(9000);
  require('node:net').createServer((stream) => stream.pipe(stream)).listen(9001, () => console.log('ready'));
`;

/** Sends a numbered datagram every millisecond and a stream beside it; says at the end what did not come back. */
const CLIENT = `
  const [address] = process.argv.slice(1);
  const socket = require('node:dgram').createSocket({ type: 'udp4', recvBufferSize: 4 << 20 });
  const waiting = new Set();
  let sent = 0, received = 0, bytes = 0, back = 0, ending = false;
  socket.on('message', (message) => { if (waiting.delete(message.readUInt32BE(0))) received++; });
  socket.on('error', (error) => console.log('error ' + error.message));
  const stream = require('node:net').connect(9001, address, () => console.log('ready'));
  stream.on('error', (error) => console.log('stream ' + error.message));
  stream.on('data', (chunk) => { back += chunk.length; });
  const chunk = Buffer.alloc(1400, 7);
  const started = performance.now();
  const timer = setInterval(() => {
    // What a starved process sends all at once would overrun a socket's buffer (net.core.rmem_max), which is no network's fault.
    while (!ending && waiting.size < 200 && sent < performance.now() - started) {
      const message = Buffer.alloc(64);
      message.writeUInt32BE(sent);
      waiting.add(sent++);
      socket.send(message, 9000, address);
      if (stream.writableLength < 1 << 20) { stream.write(chunk); bytes += chunk.length; }
    }
  }, 1);
  process.stdin.once('data', () => {
    ending = true;
    setTimeout(() => {
      console.log(JSON.stringify({ sent, lost: waiting.size, bytes, back }));
      process.exit();
    }, 1500);
  });
`;

function inPod(namespace: string, script: string, ...args: string[]): ChildProcess {
  return spawn(
    'nsenter',
    [`--net=${namespacePath(namespace)}`, '--', process.execPath, '-e', script, ...args],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
}

/** Flows from one pod to another. */
export type Flows = { /** Asserts that nothing was lost. */ end: () => Promise<void> };

/** @param from, to namespaces of pods. */
export async function startFlows(from: string, to: string, address: string): Promise<Flows> {
  const server = inPod(to, SERVER);
  await new Promise((resolve) => server.stdout!.once('data', resolve));
  const client = inPod(from, CLIENT, address);
  let output = '';
  client.stdout!.setEncoding('utf8').on('data', (text: string) => (output += text));
  await until('the stream is open', () => output.includes('ready'));
  return {
    end: async () => {
      client.stdin!.write('end\n');
      await until('the client has counted', () => output.includes('"sent"'));
      server.kill();
      const { sent, lost, bytes, back } = JSON.parse(output.slice(output.indexOf('{'))) as Record<
        string,
        number
      >;
      assert.ok(sent! > 1000, `${sent} datagrams were sent`);
      assert.equal(lost, 0, `of ${sent} datagrams`);
      assert.equal(back, bytes, 'every byte of the stream came back');
      assert.doesNotMatch(output, /error|stream /);
    },
  };
}
