/** Questions from a namespace to an address and a port, and who answered. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { namespacePath } from '../../lab/namespaces.ts';
import { probe } from '../../lab/prober.ts';

/** Far beyond what an answer takes: it keeps a packet that is lost from becoming a hang. */
const LOST_MS = 20_000;

/** @returns who answered and whom it saw asking; undefined without an answer. */
export async function reach(
  namespace: string,
  protocol: 'tcp' | 'udp',
  address: string,
  port: number,
): Promise<{ name: string; sawSource: string } | undefined> {
  const [outcome] = await probe(namespace, [{ id: 0, protocol, address, port, size: 32, timeoutMs: 2500 }]);
  if (outcome?.ok !== true) return undefined;
  return { name: outcome.answer?.name ?? '', sawSource: outcome.answer?.sawSource ?? '' };
}

/** A client with one source port for all it asks, which the kernel tells where a port is closed. */
export function openUdpClient(namespace: string, address: string, port: number) {
  const script = `
    const socket = require('node:dgram').createSocket('udp4');
    let timer;
    const told = (text) => { clearTimeout(timer); console.log(text); };
    socket.on('message', (m) => told(JSON.parse(m).name));
    socket.on('error', () => told('-'));
    socket.bind(40000, () => socket.connect(${port}, '${address}', () =>
      process.stdin.on('data', () => {
        timer = setTimeout(() => console.log('-'), ${LOST_MS});
        socket.send('{}');
      })));`;
  const child = spawn(
    'nsenter',
    [`--net=${namespacePath(namespace)}`, '--', process.execPath, '-e', script],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    /** The name of who answered. */
    ask: async (): Promise<string | undefined> => {
      child.stdin.write('\n');
      const line = String((await lines.next()).value);
      return line === '-' ? undefined : line;
    },
    close: () => void child.kill(),
  };
}
