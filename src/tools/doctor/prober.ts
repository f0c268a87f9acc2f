/** Sends probes by the prober, which has the raw sockets that Node.js lacks. */
import { spawn } from 'node:child_process';
import { nativePart } from '../../base/native-part.ts';
import type { Answer, Probe } from './paths.ts';

export const PROBER = nativePart('fairlead-probe');
/** Without a listener (RFC 863 once had a service there that threw everything away). */
export const CLOSED_PORT = 9;
const PATIENCE_MS = 1500;

const PROTOCOLS = { echo: 'icmp', full: 'icmp', datagram: 'udp', connect: 'tcp' } as const;

/**
 * @param namespace path of the network namespace to send from; this process' own where absent.
 * @returns the answers in the order of the probes.
 */
export function send(
  probes: readonly Probe[],
  namespace?: string,
  patienceMs: number = PATIENCE_MS,
): Promise<Answer[]> {
  const lines = probes.map(({ kind, address, size }, index) => {
    const protocol = PROTOCOLS[kind];
    const port = protocol === 'icmp' ? 0 : CLOSED_PORT;
    return [index, protocol, address, port, size, kind === 'full' ? 'df' : 'nodf', patienceMs].join(' ');
  });
  return new Promise((resolve, reject) => {
    if (probes.length === 0) return resolve([]);
    const from = namespace === undefined ? [] : ['--netns', namespace];
    const child = spawn(PROBER, ['client', ...from], { stdio: ['pipe', 'pipe', 'inherit'] });
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
