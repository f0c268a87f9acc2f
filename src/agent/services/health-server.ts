/** What load balancers ask the node: at one port for all, and at one for each service that has its own. */
import type { Server } from 'node:http';
import { describeError } from '../../base/errors/errors.ts';
import { createServer } from '../../base/http/http.ts';
import {
  answerHealthz,
  answerServiceHealth,
  type Health,
  type HealthAnswer,
  isHealthy,
} from '../../plan/service/health.ts';
import type { PlannedService } from '../../plan/service/table.ts';
import { createServiceHealthPorts, listenHealth } from './health-ports.ts';

export type HealthServer = {
  /** Listens for these from now on. Calls must not overlap, nor with {@link close}. */
  serve(services: readonly PlannedService[]): Promise<void>;
  /** Whether the port for all is ours. */
  readonly isOpen: boolean;
  readonly problems: readonly string[];
  /** Ceases to listen. */
  close(): Promise<void>;
};

/** By which an agent knows the answer of another one, which is about to end, from that of another proxy. */
export const SERVER = 'fairlead';
/** Callers at a time, and milliseconds for each. */
const MOST_CALLERS = 64;
const REQUEST_MS = 5000;

/** @param address as in `0.0.0.0:10256`; empty for none. */
export function createHealthServer(address: string, health: () => Health): HealthServer {
  let main: Server | undefined;
  let mainProblem: string | undefined;
  let busy: readonly { service: string; problem: string }[] = [];
  const ports = createServiceHealthPorts(listenHealth, (service) =>
    answerServiceHealth(service, isHealthy(health())),
  );
  const openMain = async () => {
    if (main !== undefined || address === '') return;
    const at = address.lastIndexOf(':');
    const host = address.slice(0, at).replace(/^\[(.*)\]$/, '$1');
    try {
      main = await listen((path) => answer(path, health()), host, Number(address.slice(at + 1)));
      mainProblem = undefined;
    } catch (error) {
      mainProblem = `services.healthAddress: ${address} cannot be listened at (${describeError(error)}); free the port, or choose another one`;
    }
  };
  return {
    serve: async (services) => {
      await openMain();
      busy = await ports.set(services);
    },
    get isOpen() {
      return main !== undefined;
    },
    get problems() {
      const named = busy.map(({ service, problem }) => `service ${service}: ${problem}`);
      return [...(mainProblem === undefined ? [] : [mainProblem]), ...named];
    },
    close: async () => {
      main?.close();
      main?.closeAllConnections();
      main = undefined;
      mainProblem = undefined;
      busy = [];
      await ports.close();
    },
  };
}

function answer(path: string, health: Health): HealthAnswer {
  if (path === '/healthz' || path === '/livez') return answerHealthz(health, path);
  const headers = { 'Content-Type': 'text/plain; charset=utf-8' };
  // The word that kube-proxy has for rules of nftables.
  if (path === '/proxyMode') return { status: 200, headers, body: 'nftables' };
  return { status: 503, headers, body: 'ask for /healthz, /livez or /proxyMode\n' };
}

function listen(reply: (path: string) => HealthAnswer, host: string, port: number): Promise<Server> {
  const server = createServer(
    { headersTimeout: REQUEST_MS, requestTimeout: REQUEST_MS, keepAliveTimeout: REQUEST_MS },
    (request, response) => {
      const { status, headers, body } = reply((request.url ?? '').split('?')[0] ?? '');
      response.writeHead(status, { ...headers, Server: SERVER }).end(body);
    },
  );
  server.maxConnections = MOST_CALLERS;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => resolve(server));
  });
}
