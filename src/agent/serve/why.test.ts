/** The agent's answer: of which state it is, what a newer one would say, and the way from this node. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCidr } from '../../base/ip/cidr.ts';
import { parseIp } from '../../base/ip/ip.ts';
import { notKnown } from '../../base/known.ts';
import { type Pod, trimPod } from '../../cluster/kinds/pod.ts';
import type { PolicySource, PolicyState } from '../../cluster/policy-source.ts';
import type { Route, Rule } from '../../edge/netlink/objects.ts';
import { parseNetworkPolicy } from '../../plan/policy/parse/parse-network-policy.ts';
import { formatWhy, resultOf, withIngress } from '../../tools/status/why.ts';
import type { InForce } from '../datapath/policy-enforcer.ts';
import { createAttachmentTable, readLinks } from '../node/attachments.ts';
import { explainWhy, type WhyKnown } from './why.ts';

const CLOSED = parseNetworkPolicy('default', 'closed', {
  spec: { podSelector: {}, policyTypes: ['Ingress'] },
}).policy;
const SINCE = '2026-01-01T00:00:00.000Z';

function pod(name: string, nodeName: string, podIP: string): Pod {
  const metadata = { namespace: 'default', name, uid: name, resourceVersion: '1' };
  const trimmed = trimPod({
    metadata,
    spec: { nodeName },
    status: { phase: 'Running', podIPs: [{ ip: podIP }] },
  });
  assert.ok('object' in trimmed);
  return trimmed.object;
}

function node(name: string, ip: string, range: string) {
  const ips = [parseIp(ip)];
  const record = { name, uid: name, createdAt: SINCE, resourceVersion: '1', labels: {}, taints: [] };
  return { ...record, ips, internalIps: ips, podCidrs: [parseCidr(range)] };
}

const NODES = [
  node('node-1', '192.168.1.2', '10.244.0.0/24'),
  node('node-2', '192.168.1.3', '10.244.1.0/24'),
];
const PODS = [pod('a', 'node-1', '10.244.0.2'), pod('b', 'node-2', '10.244.1.2')];

function stateOf(generation: string, policies: PolicyState['policies']): PolicyState {
  const versions = { policies: generation, pods: 'p' };
  return { pods: PODS, namespaces: [], policies, clusterPolicies: [], nodes: NODES, versions };
}

const RULE = { family: 4, protocol: 2 } as const;
const RULES: Rule[] = [
  { ...RULE, priority: 0, table: 255 },
  { ...RULE, priority: 32_766, table: 254 },
  { ...RULE, priority: 32_767, table: 253 },
];
const route = (destination: string, type: Route['type'] = 'unicast'): Route => ({
  destination: parseCidr(destination),
  table: 254,
  protocol: 3,
  type,
  scope: 0,
});
const ROUTES = [route('203.0.0.0/8'), route('203.0.113.128/25', 'blackhole')];

function agentOf(
  name: string,
  inForce: PolicyState | undefined,
  latest = inForce,
  rules = RULES,
  reached: object = {},
): WhyKnown {
  const table = createAttachmentTable();
  const own = name === 'node-1' ? PODS[0]! : PODS[1]!;
  readLinks(table, []);
  assert.ok(table.now.known);
  const attachment = {
    network: 'fairlead',
    containerId: own.name,
    ifname: 'eth0',
    ips: own.podIPs,
    linkIndex: 7,
  };
  table.now.live.set(own.name, { ...attachment, pod: { namespace: 'default', name: own.name } });
  const attached = [...table.now.live.values()];
  const source = {
    now: latest === undefined ? notKnown(new Date(0), 'x') : { known: true, state: latest },
    nodes: () => NODES,
    readServices: () => Promise.resolve([]),
  };
  const force: InForce =
    inForce === undefined
      ? { known: false, since: SINCE, why: 'the agent has just started' }
      : { known: true, since: SINCE, state: inForce, attached, here: { name, ips: [] } };
  return {
    node: name,
    source: source as unknown as PolicySource,
    inForce: () => force,
    kernel: {
      addresses: () => [],
      routes: (filter) => (filter?.table === 254 ? ROUTES : []),
      rules: () => rules,
    },
    table,
    podNetwork: () => [parseCidr('10.244.0.0/16')],
    reached: () => ({ problems: [], refusals: [], ...reached }),
  };
}

const OPEN = stateOf('g1', []);
const SHUT = stateOf('g2', [CLOSED]);
const ASKED = { source: 'a', destination: 'b', protocol: 'tcp', port: 80 };

test('it answers from what is in force, as of when, and says what the newer state of the cluster will do', async () => {
  const answer = await explainWhy(agentOf('node-1', OPEN, SHUT), ASKED);
  assert.deepEqual(answer.asOf, { node: 'node-1', since: SINCE, policies: 'g1', pods: 'p' });
  assert.equal(answer.answers[0]!.verdict, 'allowed');
  assert.deepEqual(
    [answer.newer?.policies, answer.newer?.answers.map(({ verdict }) => verdict)],
    ['g2', ['denied']],
  );
  assert.match(
    formatWhy(resultOf(answer)),
    /as of +what is in force on node node-1 since 2026-.*policies g1, pods p\)\n.*\(--node node-2\)\n {2}newer +the cluster has a newer state.*: IPv4 will be denied: pod default\/b is isolated/,
  );
  assert.equal((await explainWhy(agentOf('node-1', OPEN), ASKED)).newer, undefined);
});

test('what is not known yet is said to be so', async () => {
  await assert.rejects(
    explainWhy(agentOf('node-1', undefined, SHUT), ASKED),
    /^Error: what is in force on node node-1 is not known since 2026-01-01T00:00:00\.000Z: the agent has just started$/,
  );
  const unread = agentOf('node-1', OPEN);
  unread.table.now = createAttachmentTable().now;
  await assert.rejects(explainWhy(unread, ASKED), /node node-1: which pods are attached is not known/);
});

test('the way is that of the node on which packets begin', async () => {
  const here = await explainWhy(agentOf('node-1', OPEN), {
    ...ASKED,
    source: '10.244.0.2',
    destination: 'a',
  });
  assert.deepEqual(here.answers[0]!.route?.by, 'interface');
  const outside = await explainWhy(agentOf('node-1', OPEN), { ...ASKED, destination: '203.0.113.9' });
  assert.deepEqual(outside.answers[0]!.route, { by: 'masquerade' });
  const elsewhere = await explainWhy(agentOf('node-1', OPEN), { ...ASKED, source: 'b', destination: 'a' });
  assert.equal(elsewhere.answers[0]!.route, undefined);
});

test('an address outside is reached by a route of the node alone, as far as nothing else may route it', async () => {
  const to = async (destination: string, rules?: Rule[]) => {
    const answer = await explainWhy(agentOf('node-1', OPEN, OPEN, rules), { ...ASKED, destination });
    return answer.answers.map(({ verdict, destinationPlace }) => `${verdict} ${destinationPlace.at}`).join();
  };
  assert.equal(await to('203.0.113.9'), 'allowed outside');
  assert.equal(await to('203.0.113.200'), 'unreachable no-route');
  assert.equal(await to('198.51.100.1'), 'unreachable no-route');
  const vpn = { ...RULE, priority: 100, table: 51_820 };
  assert.equal(await to('198.51.100.1', [...RULES, vpn]), 'allowed outside');
});

test('without a path to the node of a pod it is unreachable, whatever policies say', async () => {
  const over = (path: object) => {
    const peers = [{ peer: NODES[1], paths: [{ family: 4, path }] }];
    return explainWhy(agentOf('node-1', OPEN, OPEN, RULES, { overlay: { peers } }), ASKED);
  };
  const lost = await over({ mode: 'none', reason: 'it has no address of IPv4' });
  assert.equal(lost.answers[0]!.verdict, 'unreachable');
  assert.match(
    formatWhy(resultOf(lost)),
    /^Unreachable.*\n.*\n.*\n {2}path +to node node-2: none: it has no/,
  );
  assert.equal((await over({ mode: 'direct', gateway: '192.168.1.3' })).answers[0]!.verdict, 'allowed');
});

test('each side is as the agent of its node has it in force', async () => {
  // The node of the destination lags behind: what it enforces counts, not what the other one knows.
  const [from, to] = [agentOf('node-1', SHUT), agentOf('node-2', OPEN, SHUT)];
  const alone = resultOf(await explainWhy(from, ASKED));
  assert.equal(alone.answers[0]!.verdict, 'denied');
  const both = withIngress(alone, await explainWhy(to, ASKED));
  assert.equal(both.answers[0]!.verdict, 'allowed');
  assert.deepEqual(
    both.asOf.map(({ node: name, policies }) => `${name} ${policies}`),
    ['node-1 g2', 'node-2 g1'],
  );
  assert.deepEqual(
    both.newer.map(({ node: name }) => name),
    ['node-2'],
  );
  assert.doesNotMatch(formatWhy(both), /--node/);
});
