import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../../../test/until.ts';
import { parseConfiguration } from '../../base/config/parse.ts';
import { parseIp } from '../../base/ip/ip.ts';
import { createLogger } from '../../base/log/logger.ts';
import type { PolicySource, PolicyState } from '../../cluster/policy-source.ts';
import { openNftablesDatapath } from '../../datapath/nftables/datapath.ts';
import { POLICY_TABLE } from '../../datapath/nftables/policy/render.ts';
import type { Conntrack } from '../../edge/conntrack/conntrack.ts';
import type { Connection } from '../../edge/conntrack/list.ts';
import { createFakeNftables, type FakeNftables } from '../../edge/nftables/fake.ts';
import { parseNetworkPolicy } from '../../plan/policy/parse/parse-network-policy.ts';
import { derive } from '../derive.ts';
import { type AttachmentTable, createAttachmentTable, readLinks } from '../node/attachments.ts';
import { createWorld } from '../world.ts';
import { PolicyEnforcer, type PolicyEnforcerOptions } from './policy-enforcer.ts';
import { loadPolicyScope, mayBeSelected } from './policy-record.ts';

const CONNTRACK: Conntrack = {
  forget: async () => undefined,
  walk: async function* () {},
  cut: async () => undefined,
  [Symbol.dispose]: () => undefined,
};

const NO_WATCH = { [Symbol.dispose]: () => undefined };

/** A cluster with a pod that a policy closes. */
const STATE = {
  pods: [
    {
      namespace: 'default',
      name: 'web',
      labels: {},
      podIPs: [parseIp('10.244.0.2')],
      hostNetwork: false,
      phase: 'Running',
      ports: [],
    },
  ],
  namespaces: [],
  policies: [parseNetworkPolicy('default', 'closed', { spec: { podSelector: {} } }).policy],
  clusterPolicies: [],
  nodes: [],
  versions: { policies: '', pods: '' },
} as unknown as PolicyState;
const SOURCE = {
  now: { known: true, state: STATE },
  problems: [],
  watch: () => NO_WATCH,
  close: () => undefined,
} as unknown as PolicySource;

/** A datapath that is set to what is compiled, as the agent does. */
async function enforcedBy(
  nftables: FakeNftables,
  table: AttachmentTable,
): Promise<Pick<PolicyEnforcerOptions, 'datapath' | 'set'>> {
  const datapath = await openNftablesDatapath(nftables, createLogger({ level: 'error', format: 'text' }));
  const world = createWorld('node-1', undefined);
  const configuration = parseConfiguration(
    '{ podNetwork: [10.244.0.0/16], cluster: { directory: /x } }',
    'test',
  );
  return {
    datapath,
    set: (effective) => {
      world.view = { ...world.view, policies: { known: true, effective } };
      return datapath.set(
        () => derive(world.view, world.node, table.now, configuration).datapath,
        ['policies'],
      );
    },
  };
}

test('before an agent has read what is attached, what its predecessor enforced stays', async () => {
  const stateDirectory = mkdtempSync(join(tmpdir(), 'flt-enforcer-'));
  const nftables = createFakeNftables();
  const name = `${POLICY_TABLE.family} ${POLICY_TABLE.name}`;
  const former = { ...POLICY_TABLE, sets: [], chains: [] };
  await nftables.replace(former);
  const table = createAttachmentTable();
  const enforcer = new PolicyEnforcer({
    source: SOURCE,
    ...(await enforcedBy(nftables, table)),
    table,
    node: () => ({ name: 'node-1', ips: [] }),
    conntrack: CONNTRACK,
    log: createLogger({ level: 'error', format: 'text' }),
    stateDirectory,
  });
  try {
    await enforcer.admit({ namespace: 'default', name: 'web' });
    assert.equal(nftables.tables.get(name), former, 'nothing is known of pods');
    readLinks(table, []);
    await enforcer.admit({ namespace: 'default', name: 'web' });
    assert.equal(nftables.tables.get(name), undefined, 'there is no pod');
  } finally {
    await enforcer.stop();
    rmSync(stateDirectory, { recursive: true });
  }
});

test('a first policy that comes while the state directory is full lets no pod of its namespace start open later', async () => {
  const stateDirectory = mkdtempSync(join(tmpdir(), 'flt-enforcer-'));
  const record = join(stateDirectory, 'policies.json');
  let changed = () => undefined as void;
  const open = { ...STATE, policies: [] };
  const source = {
    ...SOURCE,
    now: { known: true as const, state: open as PolicyState },
    watch: (onChange: () => void) => ((changed = onChange), NO_WATCH),
  };
  const table = createAttachmentTable();
  readLinks(table, []);
  const enforcer = new PolicyEnforcer({
    source,
    ...(await enforcedBy(createFakeNftables(), table)),
    table,
    node: () => ({ name: 'node-1', ips: [] }),
    conntrack: CONNTRACK,
    log: createLogger({ level: 'error', format: 'text' }),
    stateDirectory,
  });
  const isOpen = () => !mayBeSelected(loadPolicyScope(stateDirectory), 'default');
  try {
    await enforcer.admit({ namespace: 'default', name: 'web' });
    assert.ok(isOpen(), 'no policy is known');
    // What is in the way of the file that is renamed is as good as a full disk.
    mkdirSync(`${record}.new`);
    source.now = { known: true, state: STATE };
    changed();
    await enforcer.admit({ namespace: 'default', name: 'web' });
    assert.ok(!isOpen(), 'an agent that starts now without the API knows nothing, which is not "no policy"');
    assert.match(enforcer.problems.join(), /policies\.json cannot be written: .*; it is tried again/);
    rmdirSync(`${record}.new`);
    await until('it is written', () => existsSync(record));
    await until('nothing is wrong any more', () => enforcer.problems.length === 0);
    assert.deepEqual(loadPolicyScope(stateDirectory), { namespaces: ['default'], everywhere: false });
  } finally {
    await enforcer.stop();
    rmSync(stateDirectory, { recursive: true });
  }
});

test('a pod is admitted while connections are still looked through; those that are forbidden are cut', async () => {
  const stateDirectory = mkdtempSync(join(tmpdir(), 'flt-enforcer-'));
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const { promise: cut, resolve: onCut } = Promise.withResolvers<readonly unknown[]>();
  const connection = (source: string, targetPort: number): Connection => ({
    protocol: 'tcp',
    source: parseIp(source),
    sourcePort: 4000,
    destination: parseIp('10.244.0.2'),
    destinationPort: targetPort,
    target: parseIp('10.244.0.2'),
    targetPort,
    key: { family: 2, original: Buffer.alloc(0) },
  });
  const forbidden = connection('10.244.0.9', 80);
  const asked: unknown[] = [];
  const conntrack: Conntrack = {
    ...CONNTRACK,
    walk: async function* (filter) {
      asked.push(filter);
      await released;
      yield [forbidden, { ...forbidden, target: parseIp('10.244.0.7') }];
    },
    cut: async (connections) => onCut(connections),
  };
  const table = createAttachmentTable();
  readLinks(table, []);
  const pod = { namespace: 'default', name: 'web' };
  assert.ok(table.now.known);
  table.now.live.set('web', {
    network: 'n',
    containerId: 'web',
    ifname: 'eth0',
    ips: [parseIp('10.244.0.2')],
    pod,
    linkIndex: 5,
  });
  const nftables = createFakeNftables();
  const enforcer = new PolicyEnforcer({
    source: SOURCE,
    ...(await enforcedBy(nftables, table)),
    table,
    node: () => ({ name: 'node-1', ips: [] }),
    conntrack,
    log: createLogger({ level: 'error', format: 'text' }),
    stateDirectory,
  });
  try {
    await enforcer.admit(pod);
    assert.ok(nftables.tables.size > 0, 'in force');
    release();
    assert.deepEqual(await cut, [forbidden]);
    assert.deepEqual(asked[0], { source: parseIp('10.244.0.2') });
  } finally {
    await enforcer.stop();
    rmSync(stateDirectory, { recursive: true });
  }
});
