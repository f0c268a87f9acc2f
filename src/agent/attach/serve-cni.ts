/** Serves the plugin: each call against the node's attachments, and those that the plugin had to keep. */

import { join } from 'node:path';
import type { RequestFrame } from '../../edge/cni/frame.ts';
import type { Basis } from '../basis.ts';
import type { Edges } from '../edges.ts';
import type { Parts } from '../parts.ts';
import type { AgentMetrics } from '../serve/metrics.ts';
import { writeSysctls } from '../settings/sysctl.ts';
import { type CniContext, handleCni } from './cni-handler.ts';
import { createHostPorts } from './host-ports.ts';
import { openPendingDeletions } from './pending-deletions.ts';

/** How often to look for DELs that the plugin had to keep. */
const KEPT_MS = 1000;

/** Whatever else is asked for is one: metrics do not grow by what callers invent. */
const KNOWN_COMMANDS: ReadonlySet<string> = new Set(['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION']);

export type CniServing = {
  edges: Edges;
  basis: Basis;
  parts: Parts;
  metrics: AgentMetrics;
  /** Asks for a resync: ports of a pod could not be closed. */
  resync: () => void;
};

/** @returns what ends it; it serves when this resolves. */
export async function serveCni(serving: CniServing): Promise<Disposable & { path: string }> {
  const { edges, basis, parts, metrics } = serving;
  const { clock } = edges;
  const { log, configuration } = basis;
  const { socketDirectory, stateDirectory } = configuration().paths;
  const context: CniContext = {
    ...contextOf(serving),
    completeKept: (key, complete) => pending.completeOf(key, complete),
  };
  const handle = async (frame: RequestFrame) => {
    const started = clock.now();
    const reply = await handleCni(frame, context);
    const command = frame.environment['CNI_COMMAND'] ?? '';
    const known = KNOWN_COMMANDS.has(command) ? command : 'unknown';
    metrics.called(known, reply, (clock.now() - started) / 1000);
    return reply;
  };
  const pending = openPendingDeletions({ stateDirectory: () => stateDirectory, handle, log });
  const path = join(socketDirectory, 'cni.sock');
  const plugins = await edges.listenForPlugins(path, handle, log);
  // The plugin keeps one whenever it gets no answer, which may be while the agent runs, too.
  const completeKept = async () => (parts.table.now.known ? pending.complete() : undefined);
  await completeKept();
  const lookForKept = clock.every(KEPT_MS, () => void completeKept());
  return {
    path,
    [Symbol.dispose]: () => {
      lookForKept[Symbol.dispose]();
      plugins.close();
    },
  };
}

function contextOf({ edges, basis, parts, resync }: CniServing): Omit<CniContext, 'completeKept'> {
  const { kernel, namespace, pods, conntrack } = edges;
  const { log, configuration } = basis;
  const { table, removal, nextIndex, network, datapath, enforcer } = parts;
  return {
    log,
    kernel,
    namespace,
    pods,
    table,
    removal,
    nextIndex,
    readiness: () => network.readiness,
    writeSysctls: (settings, of) => {
      const sysctls = edges.openSysctls(configuration().paths.sysctlDirectory);
      // What is not as it must be is a problem of the next resync.
      for (const problem of writeSysctls(settings, sysctls, of)) log.debug(problem);
    },
    admit: ({ pod }) => enforcer?.admit(pod) ?? Promise.resolve(),
    hostPorts: createHostPorts({
      datapath,
      localIps: () => kernel.addresses().map(({ ip }) => ip),
      forget: conntrack.forget,
      resync,
      log,
    }),
  };
}
