/**
 * What each version wrote, in the kernel and on disk, is what every later one reads. A version that writes something new
 * adds its own file to `written/`; none is ever changed.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { awaitAgent, killAgent, startAgent } from '../../lab/nodes.ts';
import { nodePaths } from '../../lab/state.ts';
import type { LabNode } from '../../lab/topology.ts';
import { loadPolicyScope } from '../../src/agent/datapath/policy-record.ts';
import { loadNodeView } from '../../src/agent/node/node-record.ts';
import { rememberedSettings } from '../../src/agent/settings/sysctl.ts';
import { decodeRequest } from '../../src/edge/cni/frame.ts';
import { parsePortNames } from '../../src/plan/hostport/record.ts';
import { type Attachment, hostLinkName, parseRecord } from '../../src/plan/pod/attachment.ts';
import { parseBandwidthNames } from '../../src/plan/pod/bandwidth-record.ts';
import { startLab } from '../lab/fixture.ts';
import { inNode, statusOf } from '../lab/node.ts';
import { until } from '../until.ts';
import { SHAPING } from './shaping.ts';

type Written = {
  version: string;
  links: { name: string; alias: string; altNames: string[]; attachment: Attachment }[];
  files: Readonly<Record<'node.json' | 'policies.json' | 'settings.json', unknown>>;
  keptDel: string;
};

const FOLDER = join(import.meta.dirname, 'written');
const versions = readdirSync(FOLDER).map(
  (file) => JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as Written,
);

for (const { version, links, files, keptDel } of versions) {
  test(`${version}: its records say what they said`, () => {
    for (const { name, alias, altNames, attachment } of links) {
      const { portMappings, bandwidth, ...recorded } = attachment;
      assert.equal(hostLinkName(attachment), name);
      assert.deepEqual(parseRecord(alias), recorded);
      assert.deepEqual(parsePortNames(name, altNames), portMappings ?? []);
      assert.deepEqual(parseBandwidthNames(name, altNames), bandwidth);
    }
    const directory = mkdtempSync(join(tmpdir(), 'fairlead-written-'));
    after(() => rmSync(directory, { recursive: true, force: true }));
    for (const [file, content] of Object.entries(files))
      writeFileSync(join(directory, file), JSON.stringify(content));
    assert.deepEqual(loadNodeView(directory), files['node.json']);
    assert.deepEqual(loadPolicyScope(directory), files['policies.json']);
    assert.deepEqual(rememberedSettings(directory), files['settings.json']);
    assert.equal(decodeRequest(Buffer.from(keptDel, 'base64'))?.environment['CNI_COMMAND'], 'DEL');
  });

  test(
    `${version}: pods that it attached are served, and a DEL that its plugin kept is done`,
    SHAPING,
    async () => {
      const plan = await startLab({ nodes: 1, pods: 0, family: 'dual' });
      const node = plan.nodes[0]!;
      killAgent(node);
      for (const link of links) await createAsWritten(node, link);
      const { state } = nodePaths(plan.options.name, node.name);
      startAgent(plan, node);
      const { attachments } = await awaitAgent(plan, node);
      assert.deepEqual(
        new Set(attachments.map(({ containerId, ips }) => `${containerId} ${String(ips)}`)),
        new Set(links.map(({ attachment }) => `${attachment.containerId} ${attachment.ips.join()}`)),
      );
      assert.match(
        await inNode(node, 'nft', 'list', 'table', 'inet', 'fairlead'),
        /tcp \. 8080 : 10\.244\.0\.6 \. 80/,
      );
      killAgent(node);
      mkdirSync(join(state, 'pending'), { recursive: true });
      writeFileSync(join(state, 'pending', '0123456789abcdef.del'), Buffer.from(keptDel, 'base64'));
      startAgent(plan, node);
      await awaitAgent(plan, node);
      await until(
        'the kept DEL is done',
        async () => (await statusOf(plan, node)).attachments.length === links.length - 1,
      );
    },
  );
}

async function createAsWritten(
  node: LabNode,
  { name, alias, altNames }: Written['links'][number],
): Promise<void> {
  await inNode(node, 'ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', `p${name.slice(2)}`);
  for (const altName of altNames)
    await inNode(node, 'ip', 'link', 'property', 'add', 'dev', name, 'altname', altName);
  await inNode(node, 'ip', 'link', 'set', name, 'up');
  await inNode(node, 'ip', 'link', 'set', name, 'group', '64016', 'alias', alias);
}
