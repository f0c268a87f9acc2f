/** Sends probes by the prober, which has the raw sockets that Node.js lacks. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Answer, Probe } from './paths.ts';

const PROBER = fileURLToPath(new URL('../../../build/fairlead-probe', import.meta.url));
/** Nobody listens here (RFC 863 once had a service that threw everything away). */
const CLOSED_PORT = 9;
const PATIENCE_MS = 1500;

/** @returns the answers in the order of the probes. */
export function send(probes: readonly Probe[]): Promise<Answer[]> {
  const lines = probes.map(({ kind, address, size }, index) => {
    const [protocol, port] = kind === 'datagram' ? ['udp', CLOSED_PORT] : ['icmp', 0];
    return [index, protocol, address, port, size, kind === 'full' ? 'df' : 'nodf', PATIENCE_MS].join(' ');
  });
  return new Promise((resolve, reject) => {
    if (probes.length === 0) return resolve([]);
    const child = spawn(PROBER, ['client'], { stdio: ['pipe', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    child.stdin.on('error', () => undefined);
    child.stdin.end(`${lines.join('\n')}\n`);
    child.on('error', reject);
    child.on('close', () => {
      const answers: Answer[] = probes.map(({ kind }) => ({
        kind,
        ok: false,
        micros: 0,
        error: 'not asked',
      }));
      for (const line of text.split('\n').filter(Boolean)) {
        const { id, ...answer } = JSON.parse(line) as Omit<Answer, 'kind'> & { id: string };
        const index = Number(id);
        answers[index] = { ...answer, kind: probes[index]!.kind };
      }
      resolve(answers);
    });
  });
}
