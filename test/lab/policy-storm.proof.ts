/**
 * A storm of changes while packets pass: labels, policies of both kinds, namespaces and pods change all the time, agents
 * are killed and start again. What must always pass never fails, what must never pass never does, and a node always reaches
 * its pods.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { clientOf } from '../../lab/client.ts';
import { awaitAgent, killAgent, startAgent } from '../../lab/nodes.ts';
import { probe } from '../../lab/prober.ts';
import { nodePaths, readPods } from '../../lab/state.ts';
import type { LabNode } from '../../lab/topology.ts';
import { isStatus } from '../../src/edge/kubernetes/api-error.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { openVolleys, type Shot } from '../policy/volley.ts';
import { until } from '../until.ts';
import { startLab } from './fixture.ts';

const SECONDS = Number(process.env['FAIRLEAD_POLICY_STORM_SECONDS'] ?? 25);
const SEED = Number(process.env['FAIRLEAD_POLICY_SEED'] ?? Date.now() % 1_000_000);
/** Of each node, in their order. */
const ROLES = ['server', 'client', 'stranger'] as const;
const NOISE = 4;

const plan = await startLab({ nodes: 2, pods: ROLES.length, api: true });
const client = clientOf(plan);
const pods = readPods(plan.options.name)
  .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  .map((pod, index) => ({ ...pod, role: ROLES[index % ROLES.length]!, ip: String(pod.ips![0]) }));
const nodeOf = (name: string) => plan.nodes.find((node) => node.name === name)!;
const volleys = openVolleys(
  pods.map(({ namespace, node }) => ({ namespace, node: String(nodeOf(node).addresses[0]) })),
);
after(() => {
  volleys[Symbol.dispose]();
  client[Symbol.dispose]();
});

const NETWORK = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies';
const CLUSTER = '/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies';
const role = (name: string) => ({ matchLabels: { role: name } });
const strangers = pods.filter((pod) => pod.role === 'stranger').map(({ ip }) => `${ip}/32`);

async function put(path: string, name: string, spec: object): Promise<void> {
  const [apiVersion, kind] =
    path === NETWORK
      ? ['networking.k8s.io/v1', 'NetworkPolicy']
      : ['policy.networking.k8s.io/v1alpha2', 'ClusterNetworkPolicy'];
  await remove(path, name);
  await client.json({ method: 'POST', path, body: { apiVersion, kind, metadata: { name }, spec } });
}

async function remove(path: string, name: string): Promise<void> {
  await client.json({ method: 'DELETE', path: `${path}/${name}` }).catch((error: unknown) => {
    if (!isStatus(error, 404)) throw error;
  });
}

async function label(path: string, labels: Record<string, string | null>): Promise<void> {
  await client
    .json({
      method: 'PATCH',
      path,
      contentType: 'application/merge-patch+json',
      body: { metadata: { labels } },
    })
    .catch((error: unknown) => {
      if (!isStatus(error, 404)) throw error;
    });
}

const podPath = (name: string) => `/api/v1/namespaces/default/pods/${name}`;

/** Clients reach servers at 8080 by their labels and at 8081 by their addresses; all else is closed. */
async function lay(): Promise<void> {
  for (const { name, role: own } of pods) {
    await until(`${name} is an object`, () =>
      client
        .json({
          method: 'PATCH',
          path: podPath(name),
          contentType: 'application/merge-patch+json',
          body: { metadata: { labels: { role: own } } },
        })
        .then(
          () => true,
          () => false,
        ),
    );
  }
  await put(NETWORK, 'deny', { podSelector: {}, policyTypes: ['Ingress'] });
  await put(NETWORK, 'serve', {
    podSelector: role('server'),
    ingress: [
      {
        from: [{ podSelector: role('client') }],
        ports: [
          { protocol: 'TCP', port: 8080 },
          { protocol: 'UDP', port: 8080 },
        ],
      },
      {
        from: [{ ipBlock: { cidr: '10.244.0.0/16', except: strangers } }],
        ports: [
          { protocol: 'TCP', port: 8081 },
          { protocol: 'UDP', port: 8081 },
        ],
      },
    ],
  });
  await put(NETWORK, 'ask', {
    podSelector: role('client'),
    policyTypes: ['Egress'],
    egress: [{ to: [{ podSelector: role('server') }] }, { to: [{ ipBlock: { cidr: '172.16.0.0/12' } }] }],
  });
  await put(CLUSTER, 'guard', {
    tier: 'Admin',
    priority: 10,
    subject: { pods: { podSelector: role('client') } },
    egress: [
      {
        action: 'Deny',
        to: [{ networks: ['10.244.0.0/16'] }],
        protocols: [{ udp: { destinationPort: { number: 8081 } } }],
      },
    ],
  });
}

type Certain = Shot & { passes: boolean };

function certainties(): Certain[] {
  return pods.flatMap((source, from) =>
    pods.flatMap((destination, to) => {
      if (from === to) return [];
      const serves = source.role === 'client' && destination.role === 'server';
      return (['TCP', 'UDP'] as const).flatMap((protocol) =>
        [80, 8080, 8081].flatMap((port) => {
          const byBlock = source.role === 'server' && destination.role === 'server' && port === 8081;
          const guarded = protocol === 'UDP' && port === 8081 && source.role === 'client';
          return [
            {
              from,
              to,
              source: source.ip,
              destination: destination.ip,
              protocol,
              port,
              passes: byBlock || (serves && port !== 80 && !guarded),
            },
          ];
        }),
      );
    }),
  );
}

const describe = ({ from, to, protocol, port, passes }: Certain) =>
  `${pods[from]!.name} to ${pods[to]!.name}, ${protocol} ${port}, ${passes ? 'must pass' : 'must never pass'}`;

async function wrongOf(certain: readonly Certain[]): Promise<string[]> {
  const fates = await volleys.fire(certain);
  return certain.flatMap((one, index) =>
    fates[index] === (one.passes ? 'answered' : 'lost') ? [] : [`${describe(one)}: ${fates[index]}`],
  );
}

/** Nothing of it changes what is certain. */
const CHANGES: Readonly<Record<string, (random: () => number) => Promise<void>>> = {
  'a label of a pod': (random) =>
    label(podPath(pick(random, pods).name), { version: `v${Math.floor(random() * 5)}` }),
  'a pod becomes a client, or no longer': (random) =>
    label(podPath(`noise-${Math.floor(random() * NOISE)}`), {
      role: random() < 0.5 ? 'client' : 'noise',
    }),
  'a policy with blocks': (random) =>
    put(NETWORK, `blocks-${Math.floor(random() * 3)}`, {
      podSelector: random() < 0.5 ? role('server') : {},
      ingress: [
        {
          from: Array.from({ length: 1 + Math.floor(random() * 300) }, (_, index) => ({
            ipBlock: { cidr: `172.${16 + Math.floor(random() * 8)}.${index & 255}.0/25` },
          })),
          ports: [{ port: 8080 }],
        },
      ],
    }),
  'a policy that allows who is no stranger': (random) =>
    put(NETWORK, `noise-${Math.floor(random() * 3)}`, {
      podSelector: role('server'),
      ingress: [
        {
          from: [{ podSelector: role(random() < 0.5 ? 'noise' : 'client') }],
          ports: [{ port: 8080 + Math.floor(random() * 2) }],
        },
      ],
    }),
  'a policy goes': (random) =>
    remove(NETWORK, `${random() < 0.5 ? 'blocks' : 'noise'}-${Math.floor(random() * 3)}`),
  'a policy of the cluster': (random) =>
    put(CLUSTER, 'noise', {
      tier: random() < 0.5 ? 'Admin' : 'Baseline',
      priority: Math.floor(random() * 10),
      subject: { namespaces: {} },
      ingress: [
        { action: random() < 0.5 ? 'Deny' : 'Pass', from: [{ pods: { podSelector: role('noise') } }] },
      ],
    }),
  'a policy of the cluster goes': () => remove(CLUSTER, 'noise'),
  'a label of the namespace': (random) =>
    label('/api/v1/namespaces/default', { season: `s${Math.floor(random() * 3)}` }),
  'a pod comes': async (random) => {
    const name = `noise-${Math.floor(random() * NOISE)}`;
    await client
      .json({
        method: 'POST',
        path: '/api/v1/namespaces/default/pods',
        body: {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name, labels: { role: 'noise' } },
          spec: { nodeName: pick(random, plan.nodes).name, containers: [{ name: 'main', image: 'any' }] },
        },
      })
      .catch((error: unknown) => {
        if (!isStatus(error, 409)) throw error;
      });
  },
  'a pod goes': (random) =>
    client.json({ method: 'DELETE', path: podPath(`noise-${Math.floor(random() * NOISE)}`) }).then(
      () => undefined,
      (error: unknown) => {
        if (!isStatus(error, 404, 409)) throw error;
      },
    ),
};

test(`${SECONDS} s of changes: what is certain stays certain (FAIRLEAD_POLICY_SEED=${SEED})`, async (t) => {
  const random = createRandom(SEED);
  const certain = certainties();
  await lay();
  await until('all is as it must be', async () => (await wrongOf(certain)).length === 0);
  const end = performance.now() + SECONDS * 1000;
  const goesOn = () => performance.now() < end;
  const done = new Map<string, number>();
  const count = (what: string) => done.set(what, (done.get(what) ?? 0) + 1);
  const faults: string[] = [];

  const watching = async () => {
    while (goesOn() && faults.length === 0) {
      const wrong = await wrongOf(certain);
      count('volleys');
      if (wrong.length > 0) faults.push(...wrong.slice(0, 5), `after ${JSON.stringify([...done])}`);
    }
  };
  const asking = async (node: LabNode) => {
    while (goesOn() && faults.length === 0) {
      const own = pods.filter((pod) => pod.node === node.name);
      const outcomes = await probe(
        node.namespace,
        own.map(({ ip }, id) => ({ id, protocol: 'tcp', address: ip, port: 8080, size: 0, timeoutMs: 5000 })),
      );
      count('questions of nodes');
      for (const { id, ok, error } of outcomes)
        if (!ok) faults.push(`${node.name} to its ${own[Number(id)]!.name}: ${error}`);
      await sleep(50);
    }
  };
  const changing = async () => {
    while (goesOn() && faults.length === 0) {
      const what = pick(random, Object.keys(CHANGES));
      await CHANGES[what]!(random);
      count(what);
      await sleep(random() * 40);
    }
  };
  const killing = async () => {
    while (goesOn() && faults.length === 0) {
      await sleep(1000 + random() * 3000);
      const node = pick(random, plan.nodes);
      killAgent(node);
      await sleep(random() * 500);
      startAgent(plan, node);
      await awaitAgent(plan, node);
      count('killed agents');
    }
  };
  await Promise.all([watching(), changing(), killing(), ...plan.nodes.map(asking)]);
  t.diagnostic(JSON.stringify(Object.fromEntries(done)));
  assert.deepEqual(faults, []);
  assert.ok((done.get('killed agents') ?? 0) > 0, 'an agent was killed');
  await until('the agents enforce the last state', async () => {
    const statuses = await Promise.all(
      plan.nodes.map(({ name }) => askStatus(nodePaths(plan.options.name, name).apiSocket)),
    );
    return statuses.every(({ policy }) => policy?.synced === true && policy.enforced !== undefined);
  });
  assert.deepEqual(await wrongOf(certain), []);
});

function pick<T>(random: () => number, items: readonly T[]): T {
  return items[Math.floor(random() * items.length)]!;
}

/** Mulberry32: the same storm for the same seed. */
function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
