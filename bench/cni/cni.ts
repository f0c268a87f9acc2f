/** Pods added and deleted: Fairlead against the reference plugins' bridge and ptp with host-local, and the kernel's floor. */
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { namespacePath, run } from '../../lab/namespaces.ts';
import { PLUGIN } from '../../lab/processes.ts';
import { type Bench, type Case, findCase, type Ratio, summarize } from '../shared/bench.ts';
import { launch, type Timed } from '../shared/calls.ts';
import { cleanUp, createHosts, hostName, startCluster } from '../shared/cluster.ts';

const FLOOR = fileURLToPath(new URL('../../build/bench-floor', import.meta.url));
/** Debian's place, then that of all others. */
const REFERENCE = ['/usr/lib/cni', '/opt/cni/bin'].find((directory) => existsSync(join(directory, 'bridge')));

const ROUNDS = 12;
/** Pods one at a time, and at once, per round and contender. */
const ONE_BY_ONE = 6;
const AT_ONCE = 20;
/** Milliseconds: more than Fairlead waits before it deletes the links of deleted pods, and takes for it. */
const SETTLE_MS = 250;

type Contender = { name: string; program: string; node: string; path: string; configuration: object };

export const cni: Bench = {
  name: 'cni',
  summary:
    'ADD and DEL one at a time and 20 at once, against bridge and ptp with host-local, and the kernel floor',
  run: async (tell) => {
    if (REFERENCE === undefined)
      throw new Error('the reference plugins are missing; install the package containernetworking-plugins');
    const directories: string[] = [];
    await cleanUp();
    try {
      const cluster = await startCluster('c', 1, 'auto');
      directories.push(cluster.directory, mkdtempSync(join(tmpdir(), 'flb-lease-')));
      await createHosts([
        'peer',
        'floor',
        'floorpod',
        ...['fairlead', 'bridge', 'ptp'].flatMap((name) => pods().map((pod) => `${name}-${pod}`)),
      ]);
      const contenders: Contender[] = [
        {
          name: 'fairlead',
          program: PLUGIN,
          node: cluster.nodes[0]!.name,
          path: PLUGIN,
          configuration: cluster.nodes[0]!.configuration,
        },
        reference('bridge', directories[1]!, { bridge: 'cni0', isGateway: true }),
        reference('ptp', directories[1]!, {}),
      ];
      const measured = new Map<string, number[]>();
      for (let round = 0; round < ROUNDS; round++) {
        if (round % 4 === 0) tell(`round ${round + 1} of ${ROUNDS}`);
        for (const contender of contenders) {
          await measureOnce(contender, measured);
          // What it put off is its own to pay, not the next one's.
          await sleep(SETTLE_MS);
        }
        const floor = await inNode('floor', FLOOR, [namespacePath(hostName('floorpod')), '10']);
        for (const line of floor.split('\n').filter(Boolean))
          note(measured, 'kernel floor|ADD', Number(line));
      }
      return evaluate(measured);
    } finally {
      await cleanUp(directories);
    }
  },
};

function pods(): string[] {
  return Array.from({ length: AT_ONCE }, (_, index) => `pod${index}`);
}

function reference(type: 'bridge' | 'ptp', leases: string, more: object): Contender {
  return {
    name: type,
    program: join(REFERENCE!, type),
    node: 'peer',
    path: REFERENCE!,
    configuration: {
      cniVersion: '1.0.0',
      name: `bench-${type}`,
      type,
      ...more,
      ipam: {
        type: 'host-local',
        dataDir: leases,
        ranges: [[{ subnet: type === 'bridge' ? '10.88.0.0/24' : '10.89.0.0/24' }]],
        routes: [{ dst: '0.0.0.0/0' }],
      },
    },
  };
}

async function measureOnce(contender: Contender, measured: Map<string, number[]>): Promise<void> {
  const some = pods().slice(0, ONE_BY_ONE);
  for (const command of ['ADD', 'DEL'] as const) {
    for (const micros of (await call(contender, command, some, 1)).calls)
      note(measured, `${contender.name}|${command}`, micros);
  }
  for (const command of ['ADD', 'DEL'] as const) {
    const { wallMicros } = await call(contender, command, pods(), AT_ONCE);
    note(measured, `${contender.name}|burst ${command}`, wallMicros);
  }
}

function call(
  { name, program, node, path, configuration }: Contender,
  command: 'ADD' | 'DEL',
  names: readonly string[],
  concurrency: number,
): Promise<Timed> {
  const calls = names.map((pod) => {
    const id = `${name}-${pod}`;
    return { id, namespace: hostName(id), steps: [{ program, configuration }] };
  });
  return launch(node, path, command, calls, concurrency);
}

function inNode(node: string, program: string, args: readonly string[], input = ''): Promise<string> {
  return run('nsenter', [`--net=${namespacePath(hostName(node))}`, program, ...args], input);
}

function note(measured: Map<string, number[]>, key: string, value: number): void {
  const values = measured.get(key) ?? [];
  values.push(value / 1000);
  measured.set(key, values);
}

function evaluate(measured: ReadonlyMap<string, readonly number[]>): { cases: Case[]; ratios: Ratio[] } {
  const cases = [...measured].map(([key, values]) => {
    const [name = '', metric = ''] = key.split('|');
    return summarize(
      name,
      metric.startsWith('burst') ? `${metric.slice(6)} of ${AT_ONCE} at once, wall` : metric,
      'ms',
      values,
    );
  });
  const ratio = (
    key: string,
    metric: string,
    against: string,
    againstMetric: string,
    budget: number,
  ): Ratio => ({
    key,
    value: findCase(cases, 'fairlead', metric).median / findCase(cases, against, againstMetric).median,
    budget,
  });
  const burst = `ADD of ${AT_ONCE} at once, wall`;
  return {
    cases,
    ratios: [
      ratio('add_vs_bridge', 'ADD', 'bridge', 'ADD', 0.15),
      ratio('del_vs_bridge', 'DEL', 'bridge', 'DEL', 0.1),
      ratio('burst20_vs_bridge', burst, 'bridge', burst, 0.2),
      ratio('add_vs_floor', 'ADD', 'kernel floor', 'ADD', 2),
      ratio('add_vs_ptp', 'ADD', 'ptp', 'ADD', 0.15),
    ].map(({ budget, ...rest }) => (rest.key === 'add_vs_ptp' ? rest : { ...rest, budget: budget! })),
  };
}
