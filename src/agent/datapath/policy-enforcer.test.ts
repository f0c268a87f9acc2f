import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseIp } from '../../base/ip/ip.ts';
import { createLogger } from '../../base/log/logger.ts';
import type { PolicySource } from '../../cluster/policy-source.ts';
import { POLICY_TABLE } from '../../datapath/nftables/policy/render.ts';
import type { Conntrack } from '../../edge/conntrack/conntrack.ts';
import { createFakeNftables } from '../../edge/nftables/fake.ts';
import { parseNetworkPolicy } from '../../plan/policy/parse/parse-network-policy.ts';
import { createAttachmentTable, readLinks } from '../node/attachments.ts';
import { PolicyEnforcer } from './policy-enforcer.ts';

const CONNTRACK: Conntrack = {
  forget: async () => undefined,
  list: async () => [],
  cut: async () => undefined,
  [Symbol.dispose]: () => undefined,
};

/** A cluster with a pod that a policy closes. */
const SOURCE = {
  state: {
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
  },
  problems: [],
  watch: () => ({ [Symbol.dispose]: () => undefined }),
  close: () => undefined,
} as unknown as PolicySource;

test('before an agent has read what is attached, what its predecessor enforced stays', async () => {
  const stateDirectory = mkdtempSync(join(tmpdir(), 'flt-enforcer-'));
  const nftables = createFakeNftables();
  const name = `${POLICY_TABLE.family} ${POLICY_TABLE.name}`;
  const former = { ...POLICY_TABLE, sets: [], chains: [] };
  await nftables.replace(former);
  const table = createAttachmentTable();
  const enforcer = new PolicyEnforcer({
    source: SOURCE,
    nftables,
    table,
    track: async () => undefined,
    conntrack: CONNTRACK,
    log: createLogger({ level: 'error', format: 'text' }),
    tracked: [],
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
