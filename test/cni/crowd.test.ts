/** Ten thousand callers, wave after wave: others are served all the while, and the agent has lost nothing. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { agentProcesses } from '../../lab/processes.ts';
import { nodePaths } from '../../lab/state.ts';
import { until } from '../until.ts';
import { resultOf, startNode } from './containers.ts';

const CALLERS = 10_000;
const AT_ONCE = 500;

const { plan, node, container } = await startNode();

test(`${CALLERS} connections`, async () => {
  const { cniSocket } = nodePaths(plan.options.name, node.name);
  const agents = agentProcesses(node.namespace);
  const descriptors = () => readdirSync(`/proc/${agents[0]}/fd`).length;
  const before = descriptors();
  for (let wave = 0; wave < CALLERS / AT_ONCE; wave++) {
    const callers = Array.from({ length: AT_ONCE }, () => {
      const socket = connect(cniSocket).on('error', () => undefined);
      socket.write('FLC1');
      return socket;
    });
    if (wave % 5 === 0) {
      const { call } = container();
      resultOf(await call('ADD'));
      assert.equal((await call('DEL')).exitCode, 0);
    }
    await Promise.all(callers.map(opened));
    for (const socket of callers) socket.destroy();
  }
  await until('their descriptors are closed', () => descriptors() <= before + 2);
  assert.deepEqual(agentProcesses(node.namespace), agents);
});

function opened(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (!socket.connecting) resolve();
    else socket.once('connect', resolve).once('close', () => resolve());
  });
}
