/** Everything that a namespace holds, before Fairlead came and after `fairlead cleanup`: not a line differs. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { writeKubeconfig } from '../../lab/api-access.ts';
import { startApi } from '../../lab/api-start.ts';
import { clientOf } from '../../lab/client.ts';
import { createNamespaces, namespacePath } from '../../lab/namespaces.ts';
import { awaitAgent, killAgent, registerNode, startAgent, writeConfiguration } from '../../lab/nodes.ts';
import { addPod, networkConfiguration } from '../../lab/pods.ts';
import { FAIRLEAD } from '../../lab/processes.ts';
import { callPluginOrFail } from '../../lab/runtime.ts';
import { nodePaths, writeRecord } from '../../lab/state.ts';
import { DEFAULT_OPTIONS, type LabNode, type LabPlan, planLab } from '../../lab/topology.ts';
import { buildUnderlay } from '../../lab/underlay.ts';
import { testLabName } from '../lab/fixture.ts';
import { inNode } from '../lab/node.ts';
import { until } from '../until.ts';
import { SHAPING } from './shaping.ts';

/** What says something else each time that it is asked. */
const VOLATILE = [
  /\s(?:valid_lft|preferred_lft) \S+/g,
  /\s(?:used|packets|bytes) \d+\S*/g,
  /\bexpires \d+sec/g,
  /^net\.(ipv[46])\.(neigh\.\S+\.(retrans|base_reachable)\S*|route\.\S+|ping_group_range).*$/gm,
  /^net\.netfilter\.nf_conntrack_count.*$/gm,
];
const LISTINGS = [
  'ip -details link',
  'ip address',
  'ip -4 route show table all',
  'ip -6 route show table all',
  'ip -4 rule',
  'ip -6 rule',
  'ip neigh show nud permanent',
  'bridge fdb',
  'tc qdisc',
  'nft list ruleset',
  'sysctl --all --pattern ^net\\.',
] as const;

async function dump(node: LabNode): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  for (const listing of LISTINGS) {
    const text = await inNode(node, ...listing.split(' '));
    const still = VOLATILE.reduce((rest, pattern) => rest.replaceAll(pattern, ''), text);
    found.set(
      listing,
      still.split('\n').filter((line) => line.trim() !== ''),
    );
  }
  return found;
}

/** A lab up to where agents start. */
async function bare(backend: LabPlan['options']['backend'], subnets: number): Promise<LabPlan> {
  const plan = planLab({
    ...DEFAULT_OPTIONS,
    name: testLabName(),
    nodes: 2,
    pods: 0,
    family: 'dual',
    api: true,
    backend,
    subnets,
  });
  writeRecord({ plan, phase: 'up', pid: process.pid });
  await buildUnderlay(plan);
  return plan;
}

async function install(plan: LabPlan): Promise<void> {
  for (const node of plan.nodes) registerNode(plan, node);
  await startApi(plan);
  writeKubeconfig(plan);
  for (const node of plan.nodes) {
    writeConfiguration(plan, node);
    startAgent(plan, node);
  }
  for (const node of plan.nodes) await awaitAgent(plan, node);
}

/** Pods with everything that a pod may have: policies, ports of the node, limits in both directions. */
async function occupy(plan: LabPlan, node: LabNode): Promise<void> {
  await addPod(plan, 'plain', node.name);
  await addPod(plan, 'far', plan.nodes[1]!.name);
  using client = clientOf(plan);
  await client.json({
    method: 'POST',
    path: '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies',
    body: {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'closed' },
      spec: { podSelector: {}, policyTypes: ['Ingress', 'Egress'] },
    },
  });
  await until('the policy is in force', async () =>
    (await inNode(node, 'nft', 'list', 'tables')).includes('fairlead-policy'),
  );
  const namespace = `${node.namespace}-full`;
  await createNamespaces([namespace]);
  const bandwidth = { ingressRate: 1e7, ingressBurst: 8e5, egressRate: 1e7, egressBurst: 8e5 };
  const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }];
  await callPluginOrFail({
    command: 'ADD',
    configuration: networkConfiguration(plan, node.name, { runtimeConfig: { portMappings, bandwidth } }),
    containerId: 'full',
    netns: namespacePath(namespace),
    ifname: 'eth0',
  });
}

for (const [backend, subnets] of [
  ['vxlan', 1],
  ['host-gw', 1],
  ['auto', 2],
] as const) {
  test(
    `${backend}: after cleanup the node holds what it held before, to the last setting`,
    SHAPING,
    async () => {
      const plan = await bare(backend, subnets);
      const node = plan.nodes[0]!;
      for (const text of [
        'ipv4.conf.all.rp_filter=1',
        'ipv4.conf.eth0.rp_filter=1',
        'ipv6.conf.eth0.accept_ra=1',
      ])
        await inNode(node, 'sysctl', '-qw', `net.${text}`);
      await inNode(node, 'ip', 'route', 'add', '10.99.0.0/16', 'dev', 'lo');
      await inNode(node, 'nft', 'add', 'table', 'inet', 'foreign');
      const before = await dump(node);
      await install(plan);
      await occupy(plan, node);
      const during = await dump(node);
      // Only tunnels need rules.
      for (const listing of LISTINGS.filter((one) => backend !== 'host-gw' || !one.endsWith('rule')))
        assert.notDeepEqual(during.get(listing), before.get(listing), `${listing} shows nothing of Fairlead`);
      killAgent(node);
      const paths = nodePaths(plan.options.name, node.name);
      await until('the agent is gone', async () =>
        inNode(node, FAIRLEAD, 'cleanup', '--config', paths.configuration, '--with-pods').then(
          () => true,
          () => false,
        ),
      );
      const differences = async () => {
        const after = await dump(node);
        return LISTINGS.flatMap((listing) => {
          const [was, is] = [before.get(listing)!, after.get(listing)!];
          return [
            ...was.filter((line) => !is.includes(line)).map((line) => `- ${listing}: ${line}`),
            ...is.filter((line) => !was.includes(line)).map((line) => `+ ${listing}: ${line}`),
          ];
        });
      };
      // The kernel itself takes a moment for what follows from a setting.
      let found: string[] = [];
      await until('nothing differs', async () => (found = await differences()).length === 0).catch(
        () => undefined,
      );
      assert.deepEqual(found, []);
      assert.equal(existsSync(paths.state), false);
      assert.deepEqual(existsSync(paths.sockets) ? readdirSync(paths.sockets) : [], []);
    },
  );
}
