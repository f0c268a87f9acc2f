/** Lets nftables tell what becomes of the packets of one address, while something is tried. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { describeError } from '../../base/errors/errors.ts';
import { type Ip, ipFamily } from '../../base/ip/ip.ts';
import { handleOf, readTraces, STAGES, TRACE_TABLE, type Traced } from './traced.ts';

export type Traces = { known: true; packets: readonly Traced[] } | { known: false; why: string };

export type TraceOptions = {
  /** Whose packets are traced, those that answer them too. */
  ips: readonly Ip[];
  /** Sends a packet from there to {@link canaryTo}, an address of this node: it shows that the kernel tells. */
  canary: (kind: 'echo' | 'datagram') => Promise<unknown>;
  canaryTo: Ip;
};

/** Before whatever others put there, and behind. */
const FIRST = '-2000000000';
const LAST = '2000000000';
const HOOKS = {
  arrived: ['prerouting', FIRST],
  routed: ['forward', FIRST],
  passed: ['forward', LAST],
  left: ['postrouting', LAST],
} as const;
const CANARIES = 50;
const WAIT_MS = 50;

/** The table is the process' own and goes with it: none is left, whatever becomes of the doctor. */
export async function trace(options: TraceOptions, attempt: () => Promise<unknown>): Promise<Traces> {
  const keeper = start(['-i']);
  const monitor = start(['monitor', 'trace']);
  try {
    keeper.child.stdin?.write(tableOf(options.ips));
    if (!(await seen(options, 'echo', monitor)))
      return { known: false, why: `nftables traces no packets here${reasonOf(keeper, monitor)}` };
    await attempt();
    // Messages keep their order: behind this one there are none of the attempt.
    await seen(options, 'datagram', monitor);
    return { known: true, packets: await withHandles(readTraces(monitor.output())) };
  } catch (error) {
    return { known: false, why: describeError(error) };
  } finally {
    await Promise.all([stop(monitor.child), stop(keeper.child)]);
  }
}

/** A rule that is gone meanwhile has none. */
async function withHandles(packets: readonly Traced[]): Promise<Traced[]> {
  const listings = new Map<string, Promise<string>>();
  return await Promise.all(
    packets.map(async (packet): Promise<Traced> => {
      const { dropped } = packet;
      if (dropped?.rule === undefined) return packet;
      const where = `${dropped.table} ${dropped.chain}`;
      const listing = listings.get(where) ?? listChain(where);
      listings.set(where, listing);
      const handle = handleOf(dropped.rule, await listing);
      return handle === undefined ? packet : { ...packet, dropped: { ...dropped, handle } };
    }),
  );
}

async function listChain(where: string): Promise<string> {
  const { stdout } = await promisify(execFile)('nft', ['-a', 'list', 'chain', ...where.split(' ')]).catch(
    () => ({
      stdout: '',
    }),
  );
  return stdout;
}

type Running = { child: ChildProcess; output: () => string; complaint: () => string };

function start(args: readonly string[]): Running {
  // Lines come when they are printed, not when a buffer is full: nft flushes after each event.
  // With a home that takes no files: an interactive nft leaves its history there.
  const child = spawn('nft', args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, HOME: '/proc' },
  });
  let [output, complaint] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
  child.stdin.on('error', () => undefined);
  child.on('error', (error) => (complaint += error.message));
  return { child, output: () => output, complaint: () => complaint };
}

function tableOf(ips: readonly Ip[]): string {
  const chains = STAGES.map((stage) => {
    const [hook, priority] = HOOKS[stage];
    return `add chain inet ${TRACE_TABLE} ${stage} { type filter hook ${hook} priority ${priority}; policy accept; }`;
  });
  const rules = ips.flatMap((ip) =>
    ['saddr', 'daddr'].map(
      (side) =>
        `add rule inet ${TRACE_TABLE} arrived ${ipFamily(ip) === 4 ? 'ip' : 'ip6'} ${side} ${ip} meta nftrace set 1`,
    ),
  );
  return [`add table inet ${TRACE_TABLE} { flags owner; }`, ...chains, ...rules, ''].join('\n');
}

/** Sends canaries of a kind until one is told of. */
async function seen(
  { canary, canaryTo }: TraceOptions,
  kind: 'echo' | 'datagram',
  { output }: Running,
): Promise<boolean> {
  const protocol = kind === 'echo' ? 'icmp' : 'udp';
  for (let attempts = 0; attempts < CANARIES; attempts++) {
    await canary(kind);
    const packets = readTraces(output());
    if (packets.some((packet) => packet.destination === canaryTo && packet.protocol === protocol))
      return true;
    await sleep(WAIT_MS);
  }
  return false;
}

function reasonOf(...running: Running[]): string {
  const said = running.map(({ complaint }) => complaint().trim().split('\n')[0]).find(Boolean);
  return said === undefined ? '' : `: ${said}`;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const closed = once(child, 'close');
  child.kill();
  await closed;
}
