/**
 * Another version takes over and gives back, while 1,000 packets a second and a stream run. The other version is an
 * earlier commit, built beside this one: what it records of pods is what a later one must read, and the other way round.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { namespacePath } from '../../lab/namespaces.ts';
import { awaitAgent, killAgent, startAgent } from '../../lab/nodes.ts';
import { addPod, deletePod, requirePod } from '../../lab/pods.ts';
import { agentProcesses } from '../../lab/processes.ts';
import { type LabPod, nodePaths, readPods } from '../../lab/state.ts';
import type { LabNode, LabPlan } from '../../lab/topology.ts';
import { faultsOf, startLab } from '../lab/fixture.ts';
import { inNode, statusOf } from '../lab/node.ts';
import { until } from '../until.ts';
import { startFlows } from './flows.ts';

const ROOT = join(import.meta.dirname, '../..');

/** Versions that this one must be able to follow, and to give back to. */
const EARLIER = [
  ['7a5b8c1', 'before policies, ports of the node and limits in their present form', 'vxlan'],
  ['9ece86d', 'with the first policies', 'host-gw'],
] as const;

function git(...args: string[]): Buffer {
  return execFileSync('git', ['-C', ROOT, ...args], {
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

/** @returns why the version cannot be had; undefined where it can. */
function isMissing(commit: string): string | undefined {
  try {
    git('cat-file', '-e', `${commit}^{tree}`);
    return undefined;
  } catch {
    return `this clone has not the history back to ${commit}`;
  }
}

/** @returns the root of the version's own tree, built. */
function build(commit: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'fairlead-version-'));
  after(() => rmSync(directory, { recursive: true, force: true }));
  execFileSync('tar', ['--extract', '--directory', directory], { input: git('archive', commit) });
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  execFileSync('make', ['-C', join(directory, 'native')], { stdio: 'ignore' });
  return directory;
}

/** @param root of the version; absent: the present one. */
async function takeOver(plan: LabPlan, node: LabNode, root?: string): Promise<void> {
  killAgent(node);
  await until('the other version has ended', () => agentProcesses(node.namespace).length === 0);
  if (root === undefined) startAgent(plan, node);
  else {
    const { configuration } = nodePaths(plan.options.name, node.name);
    const command = [
      `--net=${namespacePath(node.namespace)}`,
      join(root, 'bin/fairlead'),
      'agent',
      '--config',
    ];
    spawn('nsenter', [...command, configuration], { detached: true, stdio: 'ignore' }).unref();
  }
  await awaitAgent(plan, node);
}

async function attached(plan: LabPlan, node: LabNode): Promise<Set<string>> {
  return new Set((await statusOf(plan, node)).attachments.map(({ containerId }) => containerId));
}

for (const [commit, what, backend] of EARLIER) {
  const missing = isMissing(commit);
  test(`${backend}: an upgrade from ${commit} (${what}) and a rollback lose no packet`, {
    skip: missing ?? false,
  }, async () => {
    const old = build(commit);
    const plan = await startLab({ nodes: 2, pods: 1, backend });
    const node = plan.nodes[0]!;
    const [from, to] = readPods(plan.options.name) as [LabPod, LabPod];
    const owns = async (...names: string[]) => {
      const ids = await attached(plan, node);
      for (const name of names)
        assert.ok(ids.has(requirePod(plan.options.name, name).containerId), `${name} is known`);
    };
    const flows = await startFlows(from.namespace, to.namespace, to.ips![0]!);
    for (const each of plan.nodes) await takeOver(plan, each, old);
    await addPod(plan, 'by-the-old', node.name);
    await owns('pod-1', 'by-the-old');
    // One node after the other, as an upgrade does: for a while there are both.
    await takeOver(plan, node);
    await addPod(plan, 'by-the-new', node.name);
    await owns('pod-1', 'by-the-old', 'by-the-new');
    assert.deepEqual(await faultsOf(plan), [], 'both versions side by side');
    await takeOver(plan, plan.nodes[1]!);
    assert.deepEqual(await faultsOf(plan), []);

    await takeOver(plan, node, old);
    await owns('pod-1', 'by-the-old', 'by-the-new');
    await deletePod(plan, requirePod(plan.options.name, 'by-the-new'));
    await takeOver(plan, node);
    await deletePod(plan, requirePod(plan.options.name, 'by-the-old'));
    await flows.end();
    assert.deepEqual([...(await attached(plan, node))], [from.containerId]);
    assert.deepEqual(await faultsOf(plan), []);
    await until(
      'no interface is left of the deleted pods',
      async () =>
        (await inNode(node, 'ip', '-br', 'link', 'show', 'type', 'veth')).trim().split('\n').length === 2,
    );
  });
}
