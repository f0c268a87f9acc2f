/** One agent in a cluster of 5,000 nodes and 20,000 pods: start, events, memory, stalls; and Flannel's way beside it. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ipBatch, namespacePath } from '../../lab/namespaces.ts';
import { cidrNetwork } from '../../src/base/ip/cidr.ts';
import { NetworkNamespace } from '../../src/edge/netlink/namespace.ts';
import { openKernel } from '../../src/edge/netlink/rtnetlink.ts';
import { tunnelMac } from '../../src/plan/overlay/path.ts';
import { type Bench, type Case, type Findings, summarize } from '../shared/bench.ts';
import { cleanUp, createHosts, hostName, startCluster } from '../shared/cluster.ts';
import { type MeasuredAgent, startAgent, until } from './agent.ts';
import { type LargeApi, startLargeApi } from './api.ts';
import { monotonicMs } from './clock.ts';
import { type Observer, observe } from './notifications.ts';
import { NODES, nodeAddress, nodeRange, nodeUid, OWN_ADDRESS } from './objects.ts';
import { makeDevice, writeByCommands, writeSerially } from './serial.ts';

const EVENTS = 1000;
const ROUNDS = 5;
const PEERS_BY_COMMAND = 100;
const HEARTBEATS_PER_SECOND = 50;
const HEARTBEAT_SECONDS = 20;
/** Per peer a neighbor, a forwarding entry, a route to its pods and one to itself. */
const ENTRIES = 4 * (NODES - 1);
/** Of design and issue. */
const BUDGET = { eventMs: 20, resyncMs: 1000, stallMs: 50, mib: 120 };

type Measured = { [metric: string]: number[] };

export const scale: Bench = {
  name: 'scale',
  summary: '5,000 nodes and 20,000 pods: start, node events, memory, stalls, against Flannel’s way',
  run: async (tell) => {
    const directories: string[] = [];
    await cleanUp();
    try {
      const directory = mkdtempSync(join(tmpdir(), 'flb-'));
      directories.push(directory);
      tell('an agent starts and ends, so that its code is compiled once');
      directories.push((await startCluster('w', 1, 'auto')).directory);
      await cleanUp();
      await createHosts(['large', 'serial']);
      for (const host of ['large', 'serial'].map(hostName))
        await ipBatch(host, [
          'link add eth0 type bridge',
          `addr add ${OWN_ADDRESS}/24 dev eth0`,
          'link set eth0 up',
        ]);
      using namespace = NetworkNamespace.open(namespacePath(hostName('large')));
      tell(`an API with ${NODES} nodes and 20,000 pods`);
      using api = await startLargeApi(hostName('large'), directory);
      using observer = observe(namespace);
      tell('the agent starts');
      const begun = monotonicMs();
      const agent = await startAgent(hostName('large'), join(directory, 'agent'), api.kubeconfig);
      await until('all peers are programmed', () =>
        agent.resyncs().some(({ operations }) => operations >= ENTRIES) ? true : undefined,
      );
      const measured: Measured = { start: [observer.latest - begun] };
      await until('it serves', () => agent.status().catch(() => undefined));
      await sleep(3000);
      const memory = [agent.memory()];
      await measureEvents(api, observer, measured, tell);
      memory.push(agent.memory());
      const stalls = [(await agent.status()).eventLoopDelay.max];
      await measureResyncs(agent, measured, tell);
      await measureHeartbeats(agent, api, observer, measured, tell);
      await measurePrograms(agent, measured, tell);
      memory.push(agent.memory());
      const { eventLoopDelay, problems } = await agent.status();
      if (problems.length > 0) throw new Error(`the agent has problems: ${problems.join('; ')}`);
      stalls.push(eventLoopDelay.max);
      return evaluate(measured, memory, stalls);
    } finally {
      await cleanUp(directories);
    }
  },
};

/** A node's address changes, or a node leaves, or joins: from the write at the API to the last entry in the kernel. */
async function measureEvents(
  api: LargeApi,
  observer: Observer,
  measured: Measured,
  tell: (step: string) => void,
): Promise<void> {
  tell(`${EVENTS} node events`);
  const [lives, moves] = [new Map<number, number>(), new Map<number, number>()];
  for (let event = 0; event < EVENTS; event++) {
    const node = 1 + ((Math.floor(event / 3) * 13) % (NODES - 1));
    const what = (['moves', 'leaves', 'joins'] as const)[event % 3]!;
    const [life, move] = [lives.get(node) ?? 0, moves.get(node) ?? 0];
    const now = { life: life + Number(what === 'joins'), move: move + Number(what === 'moves') };
    lives.set(node, now.life);
    moves.set(node, now.move);
    const before = entriesOf(node, life, move);
    const after = entriesOf(node, now.life, now.move);
    const expected = {
      moves: [after.tunnel('+'), after.own('+'), before.own('-')],
      leaves: [before.tunnel('-'), before.own('-'), before.pods('-'), before.neighbor('-')],
      joins: [after.tunnel('+'), after.own('+'), after.pods('+'), after.neighbor('+')],
    }[what];
    const seen = observer.expect(expected);
    const wrote = await (what === 'leaves'
      ? api.order({ what: 'remove', node })
      : api.order({ what: 'write', node, ...now }));
    const { at, operations } = await seen;
    note(measured, `event`, at - wrote);
    note(measured, `event: a node ${what}`, at - wrote);
    note(measured, `operations: a node ${what}`, operations);
    await sleep(20 + Math.random() * 40);
  }
}

function entriesOf(node: number, life: number, move: number) {
  const [range, address] = [nodeRange(node), nodeAddress(node, move)];
  const mac = tunnelMac({ uid: nodeUid(node, life) });
  return {
    tunnel: (sign: '+' | '-') => `${sign}fdb ${mac} ${address}`,
    own: (sign: '+' | '-') => `${sign}route ${address}/32`,
    pods: (sign: '+' | '-') => `${sign}route ${range}`,
    neighbor: (sign: '+' | '-') => `${sign}neighbor ${cidrNetwork(range)}`,
  };
}

/** A route is deleted: everything is compared, one entry put back. */
async function measureResyncs(
  agent: MeasuredAgent,
  measured: Measured,
  tell: (step: string) => void,
): Promise<void> {
  tell('full comparisons with the kernel');
  for (let round = 0; round < 2 * ROUNDS; round++) {
    const before = agent.resyncs().length;
    await ipBatch(hostName('large'), [`route del ${nodeRange(4000 + round)}`]);
    const healed = await until('the route is back', () => agent.resyncs()[before]);
    note(measured, 'full resync', healed.milliseconds);
    await sleep(300);
  }
}

/** Nodes say that they are alive: nothing is to be done. */
async function measureHeartbeats(
  agent: MeasuredAgent,
  api: LargeApi,
  observer: Observer,
  measured: Measured,
  tell: (step: string) => void,
): Promise<void> {
  tell(`${HEARTBEATS_PER_SECOND} heartbeats per second for ${HEARTBEAT_SECONDS} s`);
  const perSecond = async (action: () => Promise<unknown>) => {
    const [cpu, started] = [agent.cpu(), performance.now()];
    await action();
    return ((agent.cpu() - cpu) / (performance.now() - started)) * 100;
  };
  note(measured, 'processor, idle', await perSecond(() => sleep(HEARTBEAT_SECONDS * 500)));
  const written = observer.count;
  const count = HEARTBEATS_PER_SECOND * HEARTBEAT_SECONDS;
  const beats = () => api.order({ what: 'heartbeats', perSecond: HEARTBEATS_PER_SECOND, count });
  note(measured, 'processor, heartbeats', await perSecond(beats));
  note(measured, 'operations: a heartbeat', (observer.count - written) / count);
}

/** All peers' entries from nothing, in turn with Flannel's way. */
async function measurePrograms(
  agent: MeasuredAgent,
  measured: Measured,
  tell: (step: string) => void,
): Promise<void> {
  using namespace = NetworkNamespace.open(namespacePath(hostName('serial')));
  using kernel = openKernel(namespace);
  for (let round = 0; round < ROUNDS; round++) {
    tell(`all peers from nothing, round ${round + 1} of ${ROUNDS}`);
    const before = agent.resyncs().length;
    await ipBatch(hostName('large'), ['link del fl-vxlan']);
    const stop = new AbortController();
    const pings = pingAll(agent, stop.signal);
    const made = await until('all peers are back', () =>
      agent
        .resyncs()
        .slice(before)
        .find(({ operations }) => operations >= ENTRIES),
    );
    stop.abort();
    for (const ping of await pings) note(measured, 'answer while it programs', ping);
    note(measured, 'all peers', made.milliseconds);
    await sleep(500);
    makeDevice(kernel, kernel.link('eth0')!.index);
    note(measured, 'serial', writeSerially(kernel));
    await ipBatch(hostName('serial'), ['link del flannel.1']);
  }
  tell(`${PEERS_BY_COMMAND} peers by ip and bridge`);
  makeDevice(kernel, kernel.link('eth0')!.index);
  const perPeer = await writeByCommands(hostName('serial'), PEERS_BY_COMMAND);
  note(measured, 'by commands', perPeer * (NODES - 1));
}

async function pingAll(agent: MeasuredAgent, signal: AbortSignal): Promise<number[]> {
  const pings: number[] = [];
  while (!signal.aborted) {
    pings.push(await agent.ping());
    await sleep(5);
  }
  return pings;
}

function note(measured: Measured, metric: string, value: number): void {
  measured[metric] ??= [];
  measured[metric].push(value);
}

function percentile(values: readonly number[], fraction: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? Number.NaN;
}

function evaluate(
  measured: Measured,
  memory: readonly ReturnType<MeasuredAgent['memory']>[],
  stalls: readonly number[],
): Findings {
  const of = (metric: string) => measured[metric] ?? [];
  const median = (metric: string) => percentile(of(metric), 0.5);
  const row = (name: string, metric: string, unit: string): Case => summarize(name, metric, unit, of(metric));
  const p99 = percentile(of('event'), 0.99);
  const resident = Math.max(...memory.map((one) => one.resident));
  const cases = [
    row('fairlead', 'start', 'ms'),
    row('fairlead', 'event', 'ms'),
    summarize('fairlead', 'event, p99', 'ms', [p99]),
    ...['moves', 'leaves', 'joins'].flatMap((what) => [
      row('fairlead', `event: a node ${what}`, 'ms'),
      row('fairlead', `operations: a node ${what}`, ''),
    ]),
    row('fairlead', 'operations: a heartbeat', ''),
    row('fairlead', 'full resync', 'ms'),
    row('fairlead', 'all peers', 'ms'),
    summarize('fairlead', 'answer while it programs', 'ms', of('answer while it programs')),
    summarize('fairlead', 'longest answer while it programs', 'ms', [
      Math.max(...of('answer while it programs')),
    ]),
    row('serially', 'serial', 'ms'),
    row('by ip and bridge', 'by commands', 'ms'),
    row('fairlead', 'processor, idle', '%'),
    row('fairlead', 'processor, heartbeats', '%'),
    summarize('fairlead', 'event loop late, after the events', 'ms', [stalls[0]!]),
    summarize('fairlead', 'event loop late, in all', 'ms', [stalls.at(-1)!]),
    summarize('fairlead', 'resident memory, after the start', 'MiB', [memory[0]!.resident]),
    summarize('fairlead', 'resident memory, after the events', 'MiB', [memory[1]!.resident]),
    summarize('fairlead', 'resident memory, at the end', 'MiB', [memory.at(-1)!.resident]),
    summarize('fairlead', 'of it pages of files', 'MiB', [memory.at(-1)!.ofFiles]),
    summarize('fairlead', 'resident memory, the most ever', 'MiB', [memory.at(-1)!.most]),
  ];
  return {
    cases,
    ratios: [
      { key: 'event_p99_ms', value: p99, budget: BUDGET.eventMs },
      { key: 'resync_5000_ms', value: Math.max(...of('full resync')), budget: BUDGET.resyncMs },
      { key: 'stall_ms', value: Math.max(...stalls), budget: BUDGET.stallMs },
      { key: 'rss_mib', value: resident, budget: BUDGET.mib },
      { key: 'program_5000_vs_serial', value: median('all peers') / median('serial') },
      { key: 'program_5000_vs_commands', value: median('all peers') / median('by commands') },
      { key: 'heartbeats_cpu_percent', value: median('processor, heartbeats') },
    ],
  };
}
