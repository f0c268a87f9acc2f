import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfiguration } from '../base/config/parse.ts';
import { parseCidr } from '../base/ip/cidr.ts';
import { parseIp } from '../base/ip/ip.ts';
import { notKnown } from '../base/known.ts';
import { compile } from '../plan/policy/compile/compile.ts';
import type { PolicyPod } from '../plan/policy/parse/objects.ts';
import { parseNetworkPolicy } from '../plan/policy/parse/parse-network-policy.ts';
import { derive } from './derive.ts';
import { createAttachmentTable, readLinks } from './node/attachments.ts';
import { createWorld, type World } from './world.ts';

const CONFIGURATION = parseConfiguration(
  '{ podNetwork: [10.244.0.0/16], cluster: { directory: /nowhere } }',
  'test',
);
const VIEW = { ranges: [parseCidr('10.244.0.0/24')], nodeIps: [parseIp('192.168.1.2')], mtu: 1500 };
const KERNEL = { known: true, links: [], addresses: [], hasTunnel: true, isPlanned: false } as const;

/** All is known but what a test changes. */
function known(change: (world: World) => void = () => undefined) {
  const world = createWorld('node-1', VIEW);
  world.node = { ...world.node, kernel: KERNEL };
  change(world);
  const table = createAttachmentTable();
  readLinks(table, []);
  return derive(world.view, world.node, table.now, CONFIGURATION);
}

test('one input that is not known is why the firewall stays as it is', () => {
  const whyOf = ({ datapath: { node } }: ReturnType<typeof known>) => (node.known ? 'known' : node.why);
  assert.equal(whyOf(known()), 'known');
  const unread = notKnown(new Date(0), 'the kernel cannot be read');
  assert.equal(whyOf(known((world) => (world.node = { ...world.node, kernel: unread }))), unread.why);
  const ownless = createWorld('node-1', undefined).node.view;
  assert.match(
    whyOf(known((world) => (world.node = { ...world.node, view: ownless }))),
    /does not know its own range/,
  );
  const world = createWorld('node-1', VIEW);
  world.node = { ...world.node, kernel: KERNEL };
  const { datapath } = derive(world.view, world.node, createAttachmentTable().now, CONFIGURATION);
  assert.deepEqual([datapath.node.known, datapath.policies.known], [false, false]);
});

test('what the agent before knew of the cluster counts until there was a plan for the peers', () => {
  const firewallOf = ({ datapath: { node } }: ReturnType<typeof known>) =>
    node.known ? node.firewall : undefined;
  assert.equal(firewallOf(known())?.inherits, true);
  const planned = known((world) => (world.node = { ...world.node, kernel: { ...KERNEL, isPlanned: true } }));
  assert.equal(firewallOf(planned)?.inherits, false);
  assert.deepEqual(firewallOf(planned)?.tunnel, CONFIGURATION.vxlan);
});

test('connections of pods that a policy selects are tracked; unknown policies track none of their own', () => {
  assert.deepEqual(known().datapath.tracking, []);
  const pod = {
    namespace: 'default',
    name: 'web',
    labels: {},
    podIPs: [parseIp('10.244.0.2')],
    hostNetwork: false,
    phase: 'Running',
    ports: [],
  } as unknown as PolicyPod;
  const { policy } = parseNetworkPolicy('default', 'closed', { spec: { podSelector: {} } });
  const effective = compile({
    pods: [pod, { ...pod, namespace: 'other', podIPs: [parseIp('10.244.0.3')] }],
    namespaces: [],
    policies: [policy],
    clusterPolicies: [],
    nodes: [],
  });
  const states = known((world) => (world.view = { ...world.view, policies: { known: true, effective } }));
  assert.deepEqual(states.datapath.tracking, ['10.244.0.2']);
});
