/** The process of a lab's API: it serves the objects, and runs the lab's pods from them. */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:https';
import { FairleadError } from '../src/base/errors/errors.ts';
import { createLogger } from '../src/base/log/logger.ts';
import { valuesWithEvents } from '../src/tools/chart/chart.ts';
import { agentGrants } from './agent-account.ts';
import type { Api } from './api/api.ts';
import { LASTING_NAMESPACES } from './api/delete.ts';
import { apiListener } from './api/server.ts';
import { keepAddressObjects } from './api/service/address-objects.ts';
import { openStore } from './api/storage/journal.ts';
import { ensureObject } from './api/validation/owner.ts';
import { INSIDE_PORT, readAccess } from './api-access.ts';
import { DNS_GRANTS, keepDns } from './dns/deploy.ts';
import { mirrorAgents, runnableOf } from './kubelet/agent-mirror.ts';
import { mirrorNodes } from './kubelet/node-mirror.ts';
import { runPods } from './kubelet/pod-runner.ts';
import { readLogFile } from './kubelet/processes.ts';
import { keepClusterServices } from './slices/cluster-services.ts';
import { keepSlices } from './slices/controller.ts';
import { apiPaths, readRecord } from './state.ts';

/** The listener on the machine's loopback, which the parent of this process has opened. */
export const LOOPBACK_FD = 3;

/** Serves until it is ended. Everything that was answered is on disk: any end will do. */
export async function serveLabApi(name: string): Promise<never> {
  const plan = readRecord(name)?.plan;
  const access = readAccess(name);
  if (plan === undefined || access === undefined)
    throw new FairleadError(
      'FL_LAB',
      `lab ${name} has no API to serve; use 'fairlead lab api --name ${name}'`,
    );
  const logger = createLogger({ level: 'info', format: 'text' });
  const nodes = new Set(plan.nodes.map((node) => node.name));
  const api: Api = {
    store: openStore(apiPaths(name).objects),
    now: Date.now,
    newUid: randomUUID,
    stopsPods: (node) => nodes.has(node),
    logs: (namespace, pod, container, from) =>
      readLogFile(name, namespace === 'default' ? pod : `${namespace}/${pod}`, container, from),
  };
  for (const namespace of LASTING_NAMESPACES)
    ensureObject(api, 'Namespace', { metadata: { name: namespace } });
  keepClusterServices(plan, api);
  keepAddressObjects(api);
  keepSlices(api, logger);
  mirrorNodes(plan, api);
  mirrorAgents(plan, api);
  if (plan.options.dns) keepDns(plan, api);
  runPods(plan, api, logger);
  const accounts = [
    { token: access.token },
    { token: access.agentToken, grants: agentGrants(valuesWithEvents(true)) },
    ...(access.dnsToken === undefined ? [] : [{ token: access.dnsToken, grants: DNS_GRANTS }]),
  ];
  const listener = apiListener(api, accounts);
  // Loaded here: an agent, of the same program, does without its memory.
  const { execListener } = await import('./api/exec.ts');
  const exec = execListener({ api, accounts, runnable: (...pod) => runnableOf(plan, ...pod) });
  const { key, certificate: cert } = access;
  await Promise.all(
    [{ port: INSIDE_PORT }, { fd: LOOPBACK_FD }].map(async (where) => {
      const server = createServer({ key, cert }, listener).on('upgrade', exec);
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(where, resolve);
      });
    }),
  );
  logger.info('the API serves', { inside: INSIDE_PORT, loopback: access.port });
  return new Promise<never>(() => undefined);
}
