/** Whether limited pods get the rate that was asked for, no less and no more: TCP between a pod and its node. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { namespacePath } from '../../lab/namespaces.ts';
import { type Bench, type Case, findCase, type Ratio, summarize } from '../shared/bench.ts';
import { attachPod, type BenchNode, cleanUp, hostName, startCluster } from '../shared/cluster.ts';

const RECEIVER = fileURLToPath(new URL('receive.ts', import.meta.url));
/**
 * Sends until the other end is closed. By cubic (TCP_CONGESTION): some kernels default to one that paces, which would
 * be measured instead of the limit, and Node.js has no call for that.
 */
const SENDER = `
  use Socket;
  socket(S, PF_INET, SOCK_STREAM, 0) && setsockopt(S, 6, 13, "cubic") or die "no socket with cubic: $!\\n";
  connect(S, pack_sockaddr_in($ARGV[1], inet_aton($ARGV[0]))) or die "connect: $!\\n";
  my $bytes = "x" x 65536;
  1 while syswrite(S, $bytes);`;
const ROUNDS = 3;
const PORT = 5201;
const RATES = [
  { name: '10m', rate: 10_000_000 },
  { name: '100m', rate: 100_000_000 },
] as const;
/** The burst, a tenth of a second of the rate, is long spent when the measurement begins. */
const BURST_S = 0.1;
const SKIPPED_MS = 1000;
const MEASURED_MS = 2000;
const METRIC = 'TCP payload';

type Direction = 'ingress' | 'egress';
type Pod = { name: string; rate: number; address: string };

export const bandwidth: Bench = {
  name: 'bandwidth',
  summary: 'the rate of limited pods, measured against what was asked for, in both directions',
  run: async (tell) => {
    const directories: string[] = [];
    await cleanUp();
    try {
      const cluster = await startCluster('l', 1, 'auto');
      directories.push(cluster.directory);
      const node = cluster.nodes[0]!;
      const pods: Pod[] = [];
      for (const { name, rate } of RATES) pods.push(await limitedPod(node, name, rate));
      const values = new Map<string, number[]>();
      for (let round = 1; round <= ROUNDS; round++) {
        tell(`round ${round} of ${ROUNDS}`);
        for (const pod of pods) {
          for (const direction of ['ingress', 'egress'] as const) {
            const measured = await transfer(direction, pod, node);
            const key = caseName(direction, pod.name);
            values.set(key, [...(values.get(key) ?? []), measured / 1e6]);
          }
        }
      }
      const cases = [...values].map(([name, measured]) => summarize(name, METRIC, 'Mbit/s', measured));
      return { cases, ratios: pods.flatMap((pod) => ratiosOf(pod, cases)) };
    } finally {
      await cleanUp(directories);
    }
  },
};

function caseName(direction: Direction, name: string): string {
  return `${direction} ${name}`;
}

function ratiosOf({ name, rate }: Pod, cases: readonly Case[]): Ratio[] {
  return (['ingress', 'egress'] as const).map((direction) => ({
    key: `bandwidth_${direction}_${name}`,
    value: (findCase(cases, caseName(direction, name), METRIC).median * 1e6) / rate,
    least: 0.9,
    budget: 1.1,
  }));
}

async function limitedPod(node: BenchNode, name: string, rate: number): Promise<Pod> {
  const burst = rate * BURST_S;
  const limits = { ingressRate: rate, ingressBurst: burst, egressRate: rate, egressBurst: burst };
  return { name, rate, address: await attachPod(node, name, { bandwidth: limits }) };
}

/** @returns bits per second of what arrived. */
async function transfer(direction: Direction, { name, address }: Pod, node: BenchNode): Promise<number> {
  const pod = hostName(name);
  const [from, to, target] =
    direction === 'ingress' ? [node.namespace, pod, address] : [pod, node.namespace, node.address];
  const receiver = start(to, process.execPath, RECEIVER, PORT, SKIPPED_MS, MEASURED_MS);
  const lines = createInterface({ input: receiver.stdout })[Symbol.asyncIterator]();
  await lines.next();
  const sender = start(from, 'perl', '-e', SENDER, target, PORT);
  const measured = Number((await lines.next()).value);
  sender.kill();
  if (Number.isNaN(measured)) throw new Error(`${direction} of ${name}: the transfer broke off`);
  return measured;
}

function start(namespace: string, ...words: readonly (string | number)[]) {
  return spawn('nsenter', [`--net=${namespacePath(namespace)}`, '--', ...words.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}
