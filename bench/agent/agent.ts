/** The agent by itself: how long until it answers, and what it keeps in memory. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { namespacePath } from '../../lab/namespaces.ts';
import { agentProcesses } from '../../lab/processes.ts';
import { callPluginOrFail } from '../../lab/runtime.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { type Bench, summarize } from '../shared/bench.ts';
import { type BenchNode, cleanUp, createHosts, hostName, startCluster } from '../shared/cluster.ts';

const PODS = 1000;
const STARTS = 5;
/** MiB: the budget of an idle agent. */
const BUDGET = 60;

export const agent: Bench = {
  name: 'agent',
  summary: 'resident memory idle and after 1,000 ADD and DEL, start to first answer',
  run: async (tell) => {
    const directories: string[] = [];
    await cleanUp();
    try {
      const starts: number[] = [];
      let node: BenchNode | undefined;
      for (let start = 0; start < STARTS; start++) {
        await cleanUp(directories);
        const began = performance.now();
        const cluster = await startCluster('a', 1, 'auto');
        starts.push(performance.now() - began);
        directories.push(cluster.directory);
        node = cluster.nodes[0]!;
      }
      await sleep(2000);
      const idle = await memory(node!);
      await createHosts(['pod']);
      const after: number[] = [];
      for (const part of [1, 2]) {
        tell(`${PODS} ADD and DEL (${part} of 2)`);
        await churn(node!);
        await sleep(2000);
        after.push(await memory(node!));
      }
      return {
        cases: [
          summarize('agent', 'start to first answer, with its network', 'ms', starts),
          summarize('agent, idle', 'resident memory', 'MiB', [idle]),
          summarize(`agent, after ${PODS} ADD and DEL`, 'resident memory', 'MiB', [after[0]!]),
          summarize(`agent, after ${2 * PODS} ADD and DEL`, 'resident memory', 'MiB', [after[1]!]),
        ],
        ratios: [
          { key: 'idle_vs_budget', value: idle / BUDGET, budget: 1 },
          { key: 'churned_vs_budget', value: Math.max(...after) / BUDGET, budget: 1 },
          { key: 'second_thousand_vs_first', value: after[1]! / after[0]!, budget: 1.05 },
        ],
      };
    } finally {
      await cleanUp(directories);
    }
  },
};

async function churn({ configuration }: BenchNode): Promise<void> {
  const call = {
    configuration: configuration as Record<string, unknown>,
    netns: namespacePath(hostName('pod')),
    ifname: 'eth0',
  };
  for (let pod = 0; pod < PODS; pod++) {
    await callPluginOrFail({ ...call, command: 'ADD', containerId: `pod-${pod}` });
    await callPluginOrFail({ ...call, command: 'DEL', containerId: `pod-${pod}` });
  }
}

/** Of the whole process, in MiB. */
async function memory({ namespace, sockets }: BenchNode): Promise<number> {
  await askStatus(join(sockets, 'api.sock'));
  const [pid] = agentProcesses(namespace);
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}
