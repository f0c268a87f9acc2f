/**
 * The first packets of many connections at once, seen at both ends (cmd/probe/volley.c). Nothing waits for silence: what
 * was denied is what had not arrived when a later packet had, and the kernel's counters have to say the same.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { namespacePath } from '../../lab/namespaces.ts';
import { PROBE } from '../../lab/processes.ts';

export type Shot = {
  /** Which of the ends. */
  from: number;
  to: number;
  source: string;
  destination: string;
  protocol: 'TCP' | 'UDP' | 'SCTP' | 'ICMP';
  /** 0 for ICMP. */
  port: number;
};

export type Fate = 'lost' | 'arrived' | 'answered';

export type Volleys = {
  /** @returns what became of each. */
  fire(shots: readonly Shot[]): Promise<Fate[]>;
  [Symbol.dispose](): void;
};

const FATES: Readonly<Record<string, Fate>> = { 0: 'lost', 1: 'arrived', 2: 'answered' };

/** @param ends pods with an IPv4 address of their node, which answers ARP whatever policies say; or nodes, without. */
export function openVolleys(ends: readonly { namespace: string; node?: string }[]): Volleys {
  const paths = ends.map(
    ({ namespace, node }) => `${namespacePath(namespace)}${node === undefined ? '' : `=${node}`}`,
  );
  const child = spawn(PROBE, ['volley', ...paths], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    fire: async (shots) => {
      child.stdin.write(`${shots.map(lineOf).join('')}.\n`);
      const { value = '' } = (await lines.next()) as { value?: string };
      if (value.length !== shots.length) throw new Error(`the prober ended amid ${shots.length} connections`);
      return value.split('').map((figure) => FATES[figure]!);
    },
    [Symbol.dispose]: () => void child.kill(),
  };
}

function lineOf({ from, to, protocol, source, destination, port }: Shot): string {
  return `${[from, to, protocol.toLowerCase(), source, destination, port].join(' ')}\n`;
}
