/** In which order the tables change: answers are known as such before anything is dropped, and until nothing is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCidr } from '../../base/ip/cidr.ts';
import { parseIp } from '../../base/ip/ip.ts';
import { notKnown } from '../../base/known.ts';
import { createLogger } from '../../base/log/logger.ts';
import { createFakeNftables, type FakeNftables } from '../../edge/nftables/fake.ts';
import type { Nftables } from '../../edge/nftables/nft.ts';
import { type Compiled, compile } from '../../plan/policy/compile/compile.ts';
import type { PolicyPod } from '../../plan/policy/parse/objects.ts';
import { parseNetworkPolicy } from '../../plan/policy/parse/parse-network-policy.ts';
import type { DatapathState, NodeFirewall } from '../datapath.ts';
import { openNftablesDatapath } from './datapath.ts';
import { TABLE } from './node-table.ts';
import { POLICY_TABLE } from './policy/render.ts';

const LOG = createLogger({ level: 'error', format: 'text' }, () => undefined);
const POD_IP = parseIp('10.244.0.2');
const UNKNOWN = notKnown(new Date(0), 'the agent has just started');
const FIREWALL: NodeFirewall = {
  name: 'node-1',
  ranges: [parseCidr('10.244.0.0/24')],
  podNetwork: [parseCidr('10.244.0.0/16')],
  nodes: [],
  inherits: false,
  sourceNat: { enabled: true, exclude: [] },
  conntrack: 'auto',
  hostPorts: { pods: [], nodeIps: [parseIp('192.168.1.2')], services: [] },
};
const POD = {
  namespace: 'default',
  name: 'web',
  labels: {},
  podIPs: [POD_IP],
  hostNetwork: false,
  phase: 'Running',
  ports: [],
} as unknown as PolicyPod;

function effective(isClosed: boolean): Compiled {
  const closed = parseNetworkPolicy('default', 'closed', { spec: { podSelector: {} } }).policy;
  const policies = isClosed ? [closed] : [];
  return compile({ pods: [POD], namespaces: [], policies, clusterPolicies: [], nodes: [] });
}

function stateOf(isClosed: boolean): DatapathState {
  return {
    node: { known: true, firewall: FIREWALL },
    policies: { known: true, effective: effective(isClosed) },
    tracking: isClosed ? [POD_IP] : [],
  };
}

/** What the tables were at each change of one of them; `fault` refuses those of the node's table. */
async function open(fake: FakeNftables = createFakeNftables()) {
  const steps: { tracked: boolean; enforced: boolean }[] = [];
  const faults = { node: false };
  const look = () => {
    const node = fake.tables.get(`${TABLE.family} ${TABLE.name}`);
    const tracked = node?.sets.find(({ name }) => name === 'tracked4')?.elements.length === 1;
    const step = { tracked, enforced: fake.tables.has(`${POLICY_TABLE.family} ${POLICY_TABLE.name}`) };
    steps.push(step);
    return step;
  };
  const refuse = ({ name }: { name: string }) => {
    if (faults.node && name === TABLE.name) throw new Error('nft refuses it');
  };
  const nftables: Nftables = {
    ...fake,
    replace: async (table) => {
      refuse(table);
      await fake.replace(table);
      look();
    },
    amend: async (before, after) => {
      refuse(after);
      await fake.amend(before, after);
      look();
    },
    change: (table, changes) => {
      refuse(table);
      fake.change(table, changes);
      look();
    },
    remove: async (table) => {
      await fake.remove(table);
      look();
    },
  };
  return { datapath: await openNftablesDatapath(nftables, LOG), steps, faults, look };
}

test('nothing is enforced without tracking, neither when a policy comes nor when it goes', async () => {
  const { datapath, steps, look } = await open();
  for (const isClosed of [false, true, false]) {
    const { problems } = await datapath.set(() => stateOf(isClosed));
    assert.deepEqual(problems, []);
    assert.deepEqual(look(), { tracked: isClosed, enforced: isClosed });
  }
  assert.deepEqual(
    steps.filter(({ tracked, enforced }) => enforced && !tracked),
    [],
  );
});

test('a node table that is refused keeps policies from coming into force, again and again, until it is taken', async () => {
  const { datapath, faults, look } = await open();
  await datapath.set(() => stateOf(false));
  faults.node = true;
  for (const _ of [1, 2]) {
    const { retried } = await datapath.set(() => stateOf(true), ['policies']);
    assert.match(retried.join(), /nft refuses it/);
    assert.deepEqual(look(), { tracked: false, enforced: false });
  }
  faults.node = false;
  assert.deepEqual((await datapath.set(() => stateOf(true), ['policies'])).problems, []);
  assert.deepEqual(look(), { tracked: true, enforced: true });
});

test('what is not known leaves what the agent before has left, and its connections tracked', async () => {
  const fake = createFakeNftables();
  await (await open(fake)).datapath.set(() => stateOf(true));
  const { datapath, steps, look } = await open(fake);
  const unknown: DatapathState = { node: UNKNOWN, policies: UNKNOWN, tracking: [] };
  await datapath.set(() => unknown);
  assert.deepEqual(steps, [], 'nothing was touched');
  await assert.rejects(
    datapath.changePorts('add', {
      ips: [POD_IP],
      portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
    }),
    /stays as it is: the agent has just started/,
  );
  await datapath.set(() => ({ ...stateOf(false), policies: UNKNOWN }));
  assert.deepEqual(look(), { tracked: true, enforced: true });
  await datapath.set(() => stateOf(false));
  assert.deepEqual(look(), { tracked: false, enforced: false });
});

test('a port that an ADD opens stays open, though a set was asked for before its pod was known', async () => {
  let isSlow = false;
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const { datapath } = await open(createFakeNftables(async () => (isSlow ? released : undefined)));
  const pods: NodeFirewall['hostPorts']['pods'][number][] = [];
  let sourceNat = FIREWALL.sourceNat;
  const latest = (): DatapathState => ({
    ...stateOf(false),
    node: {
      known: true,
      firewall: { ...FIREWALL, sourceNat, hostPorts: { ...FIREWALL.hostPorts, pods: [...pods] } },
    },
  });
  await datapath.set(latest);
  const pod = {
    ips: [POD_IP],
    portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' as const }],
  };
  isSlow = true;
  sourceNat = { enabled: false, exclude: [] };
  pods.push({ ips: [parseIp('10.244.0.9')], portMappings: pod.portMappings });
  const slow = datapath.set(latest, ['node']);
  const opening = datapath.changePorts('add', pod);
  const asked = datapath.set(latest, ['node']);
  pods.splice(0, 1, pod);
  release();
  await Promise.all([slow, opening, asked]);
  assert.equal(datapath.hasPorts(pod), true);
});
