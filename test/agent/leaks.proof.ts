/** Pods that come and go leave nothing: ten rounds, with ports and limits, against the real agent. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, test } from 'node:test';
import { createNamespaces, deleteNamespaces, namespacePath, run } from '../../lab/namespaces.ts';
import { networkConfiguration } from '../../lab/pods.ts';
import { callPluginOrFail } from '../../lab/runtime.ts';
import { nodePaths } from '../../lab/state.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { startLab } from '../lab/fixture.ts';
import { until } from '../until.ts';

const PODS = Number(process.env['FAIRLEAD_LEAK_PODS'] ?? 20);
const ROUNDS = 10;

test(`${ROUNDS} rounds of ${PODS} pods leave what was there before`, async () => {
  const plan = await startLab({ nodes: 2, pods: 1, backend: 'vxlan', family: 'dual' });
  const node = plan.nodes[0]!;
  const spaces = Array.from({ length: PODS }, (_, index) => `${node.namespace}-l${index}`);
  await createNamespaces(spaces);
  after(() => deleteNamespaces(spaces));
  const inNode = (...command: string[]) =>
    run('nsenter', [`--net=${namespacePath(node.namespace)}`, '--', ...command]);
  const call = (command: 'ADD' | 'DEL') =>
    Promise.all(
      spaces.map((space, index) =>
        callPluginOrFail({
          command,
          configuration: networkConfiguration(plan, node.name, {
            runtimeConfig: {
              portMappings: [
                { hostPort: 20_000 + index, containerPort: 80, protocol: index % 2 ? 'udp' : 'tcp' },
              ],
              bandwidth: { ingressRate: 1e8, ingressBurst: 1e6, egressRate: 1e8, egressBurst: 1e6 },
            },
          }),
          containerId: space,
          netns: namespacePath(space),
          ifname: 'eth0',
        }),
      ),
    );
  const holdings = async () => {
    const { pid } = await askStatus(nodePaths(plan.options.name, node.name).apiSocket);
    const listings = [
      ['ip', '-o', 'link'],
      ['ip', '-4', 'route', 'show', 'table', 'all'],
      // Of IPv6 only ours: link-local addresses of the devices come a second late.
      ['ip', '-6', 'route', 'show', 'table', 'all', 'proto', '70'],
      ['ip', 'rule'],
      ['ip', 'neigh', 'show', 'nud', 'permanent'],
      ['tc', 'qdisc'],
      ['nft', '--stateless', 'list', 'ruleset'],
    ];
    const texts = await Promise.all(
      listings.map(async (command) => [command.join(' '), await inNode(...command)]),
    );
    return { ...Object.fromEntries(texts), descriptors: readdirSync(`/proc/${pid}/fd`).length } as object;
  };
  // The first round brings what stays, such as sockets that are opened when they are needed.
  await call('ADD');
  await call('DEL');
  const links = () => inNode('ip', '-o', 'link');
  const gone = () =>
    until('the interfaces are gone', async () => !/ fb[0-9a-f]{12}|@.*group 64029/.test(await links()));
  await gone();
  const before = await holdings();
  for (let round = 1; round < ROUNDS; round++) {
    await call('ADD');
    await call('DEL');
  }
  await gone();
  assert.deepEqual(await holdings(), before);
});
