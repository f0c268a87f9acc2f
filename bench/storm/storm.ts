/** 250 pods with a port each, 50 at a time, added and deleted: Fairlead against bridge + host-local + portmap. */
import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { namespacePath, run } from '../../lab/namespaces.ts';
import { PLUGIN } from '../../lab/processes.ts';
import { NetworkNamespace } from '../../src/edge/netlink/namespace.ts';
import { NUD_PERMANENT } from '../../src/edge/netlink/objects.ts';
import { openKernel } from '../../src/edge/netlink/rtnetlink.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { type Bench, type Case, type Findings, findCase, summarize } from '../shared/bench.ts';
import { type Call, launch, type Step } from '../shared/calls.ts';
import { type BenchNode, cleanUp, createHosts, hostName, startCluster } from '../shared/cluster.ts';

/** Debian's place, then that of all others. */
const REFERENCE = ['/usr/lib/cni', '/opt/cni/bin'].find((directory) =>
  existsSync(join(directory, 'portmap')),
);

const PODS = 250;
const AT_ONCE = 50;
/** Rounds of both, and those of Fairlead alone after them, for what grows slowly. */
const ROUNDS = 3;
const MORE_ROUNDS = 7;
const FIRST_PORT = 20_000;
/** linux/rtnetlink.h. */
const RTPROT_KERNEL = 2;

type Contender = { name: string; node: string; path: string; steps: (pod: number) => readonly Step[] };
type Measured = Map<string, number[]>;

export const storm: Bench = {
  name: 'storm',
  summary: '250 pods with a hostPort, 50 at a time, added and deleted, against bridge + host-local + portmap',
  run: async (tell) => {
    if (REFERENCE === undefined)
      throw new Error('the reference plugins are missing; install the package containernetworking-plugins');
    const directories: string[] = [];
    await cleanUp();
    try {
      const cluster = await startCluster('s', 1, 'auto');
      directories.push(cluster.directory, mkdtempSync(join(tmpdir(), 'flb-lease-')));
      const node = cluster.nodes[0]!;
      const contenders = [fairlead(node), chain(directories[1]!)];
      tell(`${2 * PODS} namespaces`);
      await createHosts(['peer', ...contenders.flatMap(({ name }) => pods().map((pod) => `${name}-${pod}`))]);
      const measured: Measured = new Map();
      // The chain's bridge is there before the storm: plugins that make it at once fail.
      for (const contender of contenders) await rage(contender, new Map(), 1);
      const before = await resources(node);
      for (let round = 0; round < ROUNDS; round++) {
        // The first in one round is last in the next.
        for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) {
          tell(`round ${round + 1} of ${ROUNDS}: ${contender.name}`);
          await rage(contender, measured);
        }
      }
      const third = (await resources(node)).memory;
      for (let round = 0; round < MORE_ROUNDS; round++) {
        tell(`round ${ROUNDS + round + 1}: Fairlead alone`);
        await rage(contenders[0]!, new Map());
      }
      const after = await resources(node);
      tell('an agent that knows nothing but storms');
      const { nodes, directory } = await startCluster('t', 1, 'auto');
      directories.push(directory);
      for (let round = 0; round < ROUNDS; round++) await rage(fairlead(nodes[0]!), new Map());
      const { eventLoopDelay } = await askStatus(join(nodes[0]!.sockets, 'api.sock'));
      return evaluate(measured, {
        leaked: Object.entries(after)
          .filter(([what]) => what !== 'memory')
          .map(([what, count]) => [what, count - before[what as keyof typeof before]]),
        memory: after.memory / third,
        eventLoopDelay,
      });
    } finally {
      await cleanUp(directories);
    }
  },
};

function fairlead({ name, configuration }: BenchNode): Contender {
  const steps = (pod: number) => [{ program: PLUGIN, configuration: withPort(configuration, pod) }];
  return { name: 'fairlead', node: name, path: PLUGIN, steps };
}

function chain(leases: string): Contender {
  const common = { cniVersion: '1.0.0', name: 'bench-storm' };
  const ipam = {
    type: 'host-local',
    dataDir: leases,
    ranges: [[{ subnet: '10.88.0.0/23' }]],
    routes: [{ dst: '0.0.0.0/0' }],
  };
  const bridge = { ...common, type: 'bridge', bridge: 'cni0', isGateway: true, ipam };
  const portmap = { ...common, type: 'portmap', prevResult: '@' };
  return {
    name: 'chain',
    node: 'peer',
    path: REFERENCE!,
    steps: (pod) => [
      { program: join(REFERENCE!, 'bridge'), configuration: bridge },
      { program: join(REFERENCE!, 'portmap'), configuration: withPort(portmap, pod) },
    ],
  };
}

function withPort(configuration: object, pod: number): object {
  const portMappings = [{ hostPort: FIRST_PORT + pod, containerPort: 80, protocol: 'tcp' }];
  return { ...configuration, runtimeConfig: { portMappings } };
}

function pods(): number[] {
  return Array.from({ length: PODS }, (_, index) => index);
}

/** One round: all pods come, all pods go, and their interfaces are gone when it ends. */
async function rage({ name, node, path, steps }: Contender, measured: Measured, count = PODS): Promise<void> {
  const calls = pods()
    .slice(0, count)
    .map((pod): Call => {
      const id = `${name}-${pod}`;
      return { id, namespace: hostName(id), steps: steps(pod) };
    });
  const note = (metric: string, values: readonly number[]) =>
    measured.set(`${name}|${metric}`, [...(measured.get(`${name}|${metric}`) ?? []), ...values]);
  const started = performance.now();
  for (const command of ['ADD', 'DEL'] as const) {
    const { calls: micros, wallMicros } = await launch(node, path, command, calls, AT_ONCE);
    note(
      command,
      micros.map((value) => value / 1000),
    );
    note(`${command} of all`, [wallMicros / 1000]);
    // Deletions that were put off are a part of the round.
    if (command === 'DEL') await settle(node);
  }
  note('round', [performance.now() - started]);
}

async function settle(node: string): Promise<void> {
  using namespace = NetworkNamespace.open(namespacePath(hostName(node)));
  using kernel = openKernel(namespace);
  while (kernel.links().some(({ kind, name }) => kind === 'veth' && name !== 'eth0')) await sleep(5);
}

type Resources = Record<
  'links' | 'routes' | 'neighbors' | 'rules' | 'queues' | 'elements' | 'descriptors' | 'memory',
  number
>;

/** How much of each kind the node and its agent hold; memory in MiB, resident. */
async function resources({ name, sockets }: BenchNode): Promise<Resources> {
  using namespace = NetworkNamespace.open(namespacePath(hostName(name)));
  using kernel = openKernel(namespace);
  const { pid } = await askStatus(join(sockets, 'api.sock'));
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return {
    links: kernel.links().length,
    // The kernel's own hang on links, which are counted; the link-local one of eth0 comes a second late.
    routes: kernel.routes().filter(({ protocol }) => protocol !== RTPROT_KERNEL).length,
    // Others are the kernel's own, and come and go by themselves.
    neighbors: kernel.neighbors().filter(({ state }) => state === NUD_PERMANENT).length,
    rules: kernel.rules().length,
    queues: kernel.qdiscs().length,
    elements: await countElements(name),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    memory: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024,
  };
}

type NftListing = { elem?: readonly unknown[] };

async function countElements(node: string): Promise<number> {
  const enter = [`--net=${namespacePath(hostName(node))}`, 'nft', '-j', 'list', 'table', 'inet', 'fairlead'];
  const { nftables } = JSON.parse(await run('nsenter', enter)) as {
    nftables: { set?: NftListing; map?: NftListing }[];
  };
  return nftables.reduce((sum, { set, map }) => sum + ((set ?? map)?.elem?.length ?? 0), 0);
}

function evaluate(
  measured: Measured,
  found: {
    leaked: (readonly [string, number])[];
    memory: number;
    eventLoopDelay: { p50: number; p99: number; max: number };
  },
): Findings {
  const cases: Case[] = [...measured].map(([key, values]) => {
    const [name = '', metric = ''] = key.split('|');
    return summarize(name, metric, 'ms', values);
  });
  const at = (name: string, metric: string, fraction: number) =>
    percentile(measured.get(`${name}|${metric}`) ?? [], fraction);
  for (const name of ['fairlead', 'chain']) {
    for (const metric of ['ADD', 'DEL']) {
      for (const [what, fraction] of [
        ['p90', 0.9],
        ['p99', 0.99],
        ['most', 1],
      ] as const)
        cases.push(summarize(name, `${metric} ${what}`, 'ms', [at(name, metric, fraction)]));
    }
  }
  for (const what of ['p50', 'p99', 'max'] as const)
    cases.push(summarize('fairlead', `event loop late, ${what}`, 'ms', [found.eventLoopDelay[what]]));
  for (const [what, count] of found.leaked) cases.push(summarize('fairlead', `leaked ${what}`, '', [count]));
  const histogram = ['fairlead', 'chain'].flatMap((name) =>
    drawHistogram(name, measured.get(`${name}|ADD`) ?? []),
  );
  return {
    cases,
    ratios: [
      {
        key: 'storm_wall_vs_chain',
        value: findCase(cases, 'fairlead', 'round').median / findCase(cases, 'chain', 'round').median,
        budget: 0.2,
      },
      {
        key: 'storm_add_p99_vs_chain',
        value: at('fairlead', 'ADD', 0.99) / at('chain', 'ADD', 0.99),
        budget: 0.25,
      },
      { key: 'storm_memory_10_vs_3', value: found.memory, budget: 1.1 },
      {
        key: 'storm_leaked',
        value: found.leaked.reduce((sum, [, count]) => sum + Math.abs(count), 0),
        budget: 0,
      },
    ],
    notes: histogram,
  };
}

function percentile(values: readonly number[], fraction: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? Number.NaN;
}

/** How many ADDs took how long, by powers of two of a millisecond. */
function drawHistogram(name: string, values: readonly number[]): string[] {
  const steps = Map.groupBy(values, (value) => Math.max(0, Math.ceil(Math.log2(value))));
  const last = Math.max(...steps.keys());
  return Array.from({ length: last + 1 }, (_, step) => {
    const count = steps.get(step)?.length ?? 0;
    const bar = '█'.repeat(Math.ceil((60 * count) / values.length));
    return `${name.padEnd(9)} ADD ≤ ${String(2 ** step).padStart(5)} ms ${String(count).padStart(5)} ${bar}`.trimEnd();
  }).filter((_, step) => [...steps.keys()].some((key) => key <= step));
}
