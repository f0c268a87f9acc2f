/**
 * Chaos: pods come and go while agents are killed and what they programmed is destroyed. In the end all is proven,
 * no address was ever given twice, nothing is left of deleted pods, and nothing foreign was touched.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { namespacePath, run } from '../../lab/namespaces.ts';
import { awaitAgent, killAgent, startAgent } from '../../lab/nodes.ts';
import { addPod, deletePod } from '../../lab/pods.ts';
import { agentProcesses } from '../../lab/processes.ts';
import { type LabPod, readPods } from '../../lab/state.ts';
import type { LabNode, LabPlan } from '../../lab/topology.ts';
import { faultsOf, startLab } from './fixture.ts';

const STEPS = Number(process.env['FAIRLEAD_CHAOS_STEPS'] ?? 300);
const SEED = Number(process.env['FAIRLEAD_CHAOS_SEED'] ?? Date.now() % 1_000_000);

test(`${STEPS} pods come and go under chaos (FAIRLEAD_CHAOS_SEED=${SEED})`, async () => {
  const random = createRandom(SEED);
  const plan = await startLab({ nodes: 3, subnets: 2, pods: 2 });
  for (const node of plan.nodes) await plantForeignThings(node);
  const foreign = await foreignThings(plan);
  using _supervisor = superviseAgents(plan);
  const nodesUnderWork = new Map(plan.nodes.map(({ name }) => [name, Promise.resolve()]));
  const counts = { add: 0, delete: 0, kill: 0, destroy: 0 };
  for (let step = 0; step < STEPS; step++) {
    const node = pick(random, plan.nodes);
    const work = async () => {
      const own = readPods(plan.options.name).filter(
        (pod) => pod.node === node.name && pod.name.startsWith('chaos-'),
      );
      if (own.length > 12 || (own.length > 0 && random() < 0.45)) {
        counts.delete++;
        await deletePod(plan, pick(random, own));
      } else {
        counts.add++;
        await addPodSomehow(plan, `chaos-${step}`, node.name);
      }
      assertNoTwins(readPods(plan.options.name));
    };
    // One thing after another on a node, all nodes at once.
    nodesUnderWork.set(node.name, nodesUnderWork.get(node.name)!.then(work));
    if (random() < 0.06) {
      counts.kill++;
      killAgent(pick(random, plan.nodes));
    }
    if (random() < 0.12) {
      counts.destroy++;
      await destroy(random, pick(random, plan.nodes));
    }
    await sleep(20);
    if (step % 10 === 0) await nodesUnderWork.get(node.name);
  }
  await Promise.all(nodesUnderWork.values());
  for (const node of plan.nodes) await awaitAgent(plan, node);
  await sleep(1000);

  console.log(`chaos: ${JSON.stringify(counts)}`);
  assert.deepEqual(await faultsOf(plan), []);
  assertNoTwins(readPods(plan.options.name));
  for (const node of plan.nodes) await assertNothingLeft(plan, node);
  assert.deepEqual(await foreignThings(plan), foreign);
});

/** Starts agents that are gone, as a service manager does, whatever the test waits for. */
function superviseAgents(plan: LabPlan): Disposable {
  const started = new Map<string, number>();
  const timer = setInterval(() => {
    for (const node of plan.nodes) {
      // One that was started just now is not to be seen yet.
      if (Date.now() - (started.get(node.name) ?? 0) < 1000 || agentProcesses(node.namespace).length > 0)
        continue;
      started.set(node.name, Date.now());
      startAgent(plan, node);
    }
  }, 50);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** As a runtime does it: an ADD that failed is undone and tried again. */
async function addPodSomehow(plan: LabPlan, name: string, node: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await addPod(plan, name, node);
      return;
    } catch (error) {
      if (attempt >= 40) throw error;
      await sleep(100);
    }
  }
}

const DESTRUCTIONS: readonly string[][] = [
  ['ip', 'link', 'delete', 'fl-vxlan'],
  ['ip', 'link', 'set', 'fl-vxlan', 'down'],
  ['ip', 'route', 'flush', 'proto', '70'],
  ['ip', 'route', 'flush', 'table', '7010'],
  ['ip', 'rule', 'delete', 'priority', '7010'],
  ['ip', 'neigh', 'flush', 'dev', 'fl-vxlan', 'nud', 'permanent'],
  [
    'sh',
    '-c',
    'bridge fdb show dev fl-vxlan | while read mac _ rest; do bridge fdb del $mac dev fl-vxlan; done',
  ],
  ['nft', 'delete', 'table', 'inet', 'fairlead'],
  ['sh', '-c', 'echo 0 > /proc/sys/net/ipv4/ip_forward'],
  [
    'sh',
    '-c',
    'ip link set eth0 down; ip link set eth0 up; ip route add default via 192.168.1.1 || ip route add default via 192.168.2.1',
  ],
  ['ip', 'route', 'add', '10.244.200.0/24', 'dev', 'lo', 'proto', '70', 'metric', '70'],
];

async function destroy(random: () => number, node: LabNode): Promise<void> {
  // What is not there just now cannot be destroyed: that is fine.
  await inNode(node, pick(random, DESTRUCTIONS)).catch(() => undefined);
}

/** Things of others, of the kinds that Fairlead owns: none of them carries its marks. */
async function plantForeignThings(node: LabNode): Promise<void> {
  await inNode(node, ['ip', 'route', 'add', '10.99.0.0/16', 'dev', 'lo', 'proto', 'static']);
  await inNode(node, [
    'ip',
    'route',
    'add',
    'unreachable',
    '10.244.3.0/24',
    'proto',
    'static',
    'metric',
    '9999',
  ]);
  await inNode(node, ['ip', 'route', 'add', '10.98.0.0/16', 'dev', 'lo', 'table', '77']);
  await inNode(node, ['ip', 'rule', 'add', 'from', '10.97.0.0/16', 'lookup', '77', 'priority', '7011']);
  await inNode(node, ['ip', 'link', 'add', 'foreign0', 'type', 'bridge']);
  await inNode(node, ['ip', 'addr', 'add', '10.96.0.1/24', 'dev', 'foreign0']);
  await inNode(node, ['nft', 'add table ip foreign { chain c { type filter hook input priority 0; }; }']);
}

async function foreignThings(plan: LabPlan): Promise<string[]> {
  return Promise.all(
    plan.nodes.map(async (node) =>
      [
        await inNode(node, ['ip', 'route', 'show', 'table', 'all', 'proto', 'static']),
        await inNode(node, ['ip', 'route', 'show', 'table', '77']),
        (await inNode(node, ['ip', 'rule']))
          .split('\n')
          .filter((line) => line.startsWith('7011'))
          .join('\n'),
        await inNode(node, ['ip', '-br', 'addr', 'show', 'foreign0']),
        await inNode(node, ['nft', 'list', 'table', 'ip', 'foreign']),
      ]
        .join('\n')
        .replaceAll(/fe80::\S+/g, ''),
    ),
  );
}

/** Exactly the pods that are there have links, routes and neighbors. */
async function assertNothingLeft(plan: LabPlan, node: LabNode): Promise<void> {
  const pods = readPods(plan.options.name).filter((pod) => pod.node === node.name);
  const expected = pods.flatMap(({ ips }) => ips ?? []).toSorted();
  const links = JSON.parse(await inNode(node, ['ip', '-j', 'link', 'show', 'type', 'veth'])) as {
    ifname: string;
    ifalias?: string;
  }[];
  const attached = links.filter(({ ifname }) => ifname.startsWith('fl'));
  assert.deepEqual(
    attached.map(({ ifalias }) => /ip=(\S+)/.exec(ifalias ?? '')?.[1] ?? 'none').toSorted(),
    expected,
  );
  const routes = JSON.parse(await inNode(node, ['ip', '-j', 'route', 'show', 'proto', '70'])) as {
    dst: string;
    dev?: string;
  }[];
  const toPods = routes.filter(({ dev }) => /^fl[0-9a-f]{12}$/.test(dev ?? ''));
  assert.deepEqual(toPods.map(({ dst }) => dst).toSorted(), expected);
  assert.ok(!routes.some(({ dst }) => dst === '10.244.200.0/24'), 'a stray route with our mark is gone');
}

function assertNoTwins(pods: readonly LabPod[]): void {
  const addresses = pods.flatMap(({ ips }) => ips ?? []);
  assert.equal(
    new Set(addresses).size,
    addresses.length,
    `an address is used twice: ${addresses.toSorted().join(' ')}`,
  );
}

function inNode(node: LabNode, command: readonly string[]): Promise<string> {
  return run('nsenter', [`--net=${namespacePath(node.namespace)}`, '--', ...command]);
}

function pick<T>(random: () => number, items: readonly T[]): T {
  return items[Math.floor(random() * items.length)]!;
}

/** Mulberry32: a few lines, and the same numbers for the same seed. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
