/** Flows and changes as data: what the node sends to its own pods is left out, and a change names its family. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recentFlows } from '../../src/agent/serve/recent-flows.ts';
import { parseIp } from '../../src/base/ip/ip.ts';
import type { Conntrack } from '../../src/edge/conntrack/conntrack.ts';
import { diffPolicies } from '../../src/plan/policy/answer/diff.ts';
import { matrixOf } from '../../src/plan/policy/answer/matrix.ts';
import { formatParty } from '../../src/plan/policy/answer/party.ts';
import { formatReach } from '../../src/plan/policy/answer/reach.ts';
import type { PolicyPod } from '../../src/plan/policy/parse/objects.ts';
import { parseNetworkPolicy } from '../../src/plan/policy/parse/parse-network-policy.ts';

const pod = (name: string, last: number): PolicyPod => ({
  namespace: 'shop',
  name,
  labels: { app: name },
  podIPs: [parseIp(`10.244.0.${last}`), parseIp(`fd00::${last}`)],
  hostNetwork: false,
  phase: 'Running',
  ports: [],
  nodeName: 'node-1',
});

const INPUT = {
  pods: [pod('web', 2), pod('client', 3)],
  namespaces: [],
  policies: [],
  clusterPolicies: [],
  nodes: [{ name: 'node-1', labels: {}, ips: [parseIp('192.168.1.2'), parseIp('fd00:192::2')] }],
};
const egress = (name: string, spec: object) =>
  parseNetworkPolicy('shop', name, {
    spec: { podSelector: { matchLabels: { app: 'client' } }, policyTypes: ['Egress'], ...spec },
  }).policy;

test('a change of one family alone names it; of both alike it is one line', () => {
  const families = (spec: object) =>
    diffPolicies(INPUT, { ...INPUT, policies: [egress('e', spec)] })
      .filter(({ to }) => to.kind === 'pods')
      .map(({ families: of, after }) => `${of.join()}: ${formatReach(after)}`);
  assert.deepEqual(families({ egress: [{ to: [{ ipBlock: { cidr: '10.244.0.0/16' } }] }] }), ['6: nothing']);
  assert.deepEqual(families({}), ['4,6: nothing']);
});

test('what a pod sends to its own node is as its policies have it, and the node reaches it whatever they say', () => {
  const closed = parseNetworkPolicy('shop', 'c', { spec: { podSelector: {} } }).policy;
  const matrix = matrixOf({ ...INPUT, policies: [egress('e', {}), closed] }, 'shop/client');
  const own = (direction: 'ingress' | 'egress') =>
    matrix[direction]
      .filter(({ who }) => formatParty(who[0]!) === 'its own node')
      .flatMap(({ reaches }) => reaches.map(({ family, reach }) => `${family}: ${formatReach(reach)}`));
  assert.deepEqual(own('egress'), ['4: nothing', '6: nothing']);
  assert.deepEqual(own('ingress'), ['4: everything', '6: everything']);
});

test('connections are flows with the names of their pods, without what a node asks of its own pods', async () => {
  const [node, web, client] = ['192.168.1.2', '10.244.0.2', '10.244.0.3'].map((ip) => parseIp(ip));
  const open = [
    { protocol: 'tcp', source: client!, target: web!, targetPort: 80 },
    { protocol: 'tcp', source: node!, target: web!, targetPort: 80 },
    { protocol: 'other', source: web!, target: node!, targetPort: 0 },
  ];
  const conntrack = {
    walk: async function* () {
      yield open;
    },
  } as unknown as Conntrack;
  const flows = await recentFlows(conntrack, [], {
    podAt: (ip) => (ip === web ? 'shop/web' : undefined),
    own: new Set([node!]),
    attached: new Set([web!, client!]),
  });
  assert.deepEqual(flows, [
    {
      family: 4,
      protocol: 'TCP',
      source: client,
      destination: web,
      port: 80,
      destinationPod: 'shop/web',
      verdict: 'allowed',
    },
    {
      family: 4,
      protocol: 'ICMP',
      source: web,
      destination: node,
      sourcePod: 'shop/web',
      verdict: 'allowed',
    },
  ]);
});
