/** Runs the lab's prober in a namespace: real packets to addresses and ports, and what came of each. */
import { spawn } from 'node:child_process';
import { namespacePath } from './namespaces.ts';
import { PROBE } from './processes.ts';

export type Target = {
  id: string | number;
  protocol: 'tcp' | 'udp' | 'sctp' | 'icmp' | 'stream';
  address: string;
  /** 0 for ICMP. */
  port: number;
  /** Payload bytes; of a stream all of them. */
  size: number;
  dontFragment?: boolean;
  timeoutMs: number;
};

export type ProbeOutcome = {
  id: string;
  ok: boolean;
  micros: number;
  error?: string;
  /** What fits, when a packet did not. */
  mtu?: number;
  /** Who said so. */
  offender?: string;
  answer?: { name?: string; sawSource?: string; bytes?: number; id?: number };
};

/** Asks up to 128 of them at a time. @returns the outcomes in the order in which they came. */
export function probe(namespace: string, targets: readonly Target[]): Promise<ProbeOutcome[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(PROBE, ['client', '--netns', namespacePath(namespace)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    child.stdin.on('error', () => undefined);
    child.stdin.end(targets.map(lineOf).join(''));
    child.on('error', reject);
    child.on('close', () => {
      resolve(
        text
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line) as ProbeOutcome),
      );
    });
  });
}

/** An answer or a refusal came back, or who was connected to says nothing: the packet was let through. */
export function wasLetThrough(
  { protocol }: Pick<Target, 'protocol'>,
  { ok, error = '' }: ProbeOutcome,
): boolean {
  return ok || /refused/i.test(error) || (protocol === 'tcp' && error.startsWith('answer'));
}

function lineOf({ id, protocol, address, port, size, dontFragment, timeoutMs }: Target): string {
  const fragment = dontFragment === true ? 'df' : 'nodf';
  return `${[id, protocol, address, port, size, fragment, timeoutMs].join(' ')}\n`;
}
