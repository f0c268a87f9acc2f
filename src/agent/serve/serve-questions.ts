/** Serves what people and programs ask the agent: at its socket, and metrics at an address. */

import { join } from 'node:path';
import type { AgentReporter } from '../../cluster/report/agent-reporter.ts';
import type { Basis } from '../basis.ts';
import type { Edges } from '../edges.ts';
import type { NetworkListReconciler } from '../node/network-list.ts';
import type { Parts } from '../parts.ts';
import type { Resyncs, Watches } from '../triggers.ts';
import { listenForScrapes } from './api-server.ts';
import { watchEventLoop } from './event-loop.ts';
import type { AgentMetrics } from './metrics.ts';
import { createQuestions } from './questions.ts';
import { describeAgent } from './status.ts';

export type QuestionServing = {
  edges: Edges;
  basis: Basis;
  parts: Parts;
  metrics: AgentMetrics;
  resyncs: Resyncs;
  watches: Watches;
  list: NetworkListReconciler;
  reporter: AgentReporter | undefined;
};

/** @returns what ends it; it serves when this resolves. */
export async function serveQuestions(serving: QuestionServing): Promise<Disposable> {
  using stack = new DisposableStack();
  const { edges, basis, parts, metrics, resyncs } = serving;
  const { kernel, conntrack, clock } = edges;
  const { configuration, errors, name } = basis;
  const { table, enforcer, network, prober, services, store } = parts;
  const eventLoop = stack.use(watchEventLoop());
  const startedAt = clock.date().toISOString();
  const describe = async () =>
    describeAgent({
      spoofDrops: await parts.datapath.spoofDrops(() => clock.date()),
      name,
      startedAt,
      backend: configuration().backend,
      table,
      network,
      eventLoopDelay: eventLoop.read(),
      policy: enforcer?.status,
      services: services.status,
      otherProblems: await problemsOf(serving),
      prober,
      lastError: errors.last,
      version: basis.version,
    });
  const questions = createQuestions({
    clock,
    describe,
    kernel,
    table,
    enforcer,
    metrics,
    prober,
    errors,
    network,
    conntrack,
    services,
    node: name,
    podNetwork: () => configuration().podNetwork,
    policies: store.policies,
    sinceResyncMs: resyncs.sinceMs,
    resyncSeconds: () => configuration().resyncSeconds,
    policyNames: () => configuration().metrics.policyNames,
  });
  const { paths, metrics: exported } = configuration();
  const socket = await edges.listenForQuestions(join(paths.socketDirectory, 'api.sock'), questions);
  stack.defer(() => void socket.close());
  if (exported.address !== '') {
    const scrapes = await listenForScrapes(exported.address, questions);
    stack.defer(() => void scrapes.close());
  }
  const open = stack.move();
  return { [Symbol.dispose]: () => open.dispose() };
}

/** Of all but the node's part in the network, one sentence each. */
async function problemsOf({ parts, reporter, list, watches }: QuestionServing): Promise<string[]> {
  return [
    ...parts.services.problems,
    ...(parts.enforcer?.problems ?? []),
    ...(reporter?.problem === undefined ? [] : [reporter.problem]),
    ...list.problems,
    ...(await parts.datapath.foreignProblems()),
    ...watches.problems,
  ];
}
