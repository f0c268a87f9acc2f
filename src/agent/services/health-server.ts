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

export type HealthServerOptions = {
  /** As in `0.0.0.0:10256`; empty for none. */
  address: string;
  health: () => Health;
  /** Called when the port of a service cannot be listened at, once for each time that it is tried first. */
  onBusy: (service: string, port: number, reason: string) => void;
};

export type HealthServer = {
  /** Services that have a port of their own are listened for; those of before that have none any more are not. */
  serve(services: readonly PlannedService[]): Promise<void>;
  /** Whether the port for all is ours. */
  readonly isOpen: boolean;
  readonly problems: readonly string[];
  /** Ceases to listen. */
  close(): void;
};

/** By which an agent knows the answer of another one, which is about to end, from that of another proxy. */
export const SERVER = 'fairlead';
/** Callers at a time, and milliseconds for each. */
const MOST_CALLERS = 64;
const REQUEST_MS = 5000;

type Listening = { server: Server; service: PlannedService };

export function createHealthServer({ address, health, onBusy }: HealthServerOptions): HealthServer {
  let main: Server | undefined;
  let mainProblem: string | undefined;
  const ports = new Map<number, Listening>();
  const busy = new Map<number, string>();
  const openMain = async () => {
    if (main !== undefined || address === '') return;
    const at = address.lastIndexOf(':');
    const host = address.slice(0, at).replace(/^\[(.*)\]$/, '$1');
    try {
      main = await listen((path) => answer(path, health()), { host, port: Number(address.slice(at + 1)) });
      mainProblem = undefined;
    } catch (error) {
      mainProblem = `services.healthAddress: ${address} cannot be listened at (${describeError(error)}); free the port, or choose another one`;
    }
  };
  const open = async (service: PlannedService, port: number) => {
    try {
      const server = await listen(
        () => answerServiceHealth(ports.get(port)?.service ?? service, isHealthy(health())),
        { port },
      );
      ports.set(port, { server, service });
      busy.delete(port);
    } catch (error) {
      const reason = describeError(error);
      if (!busy.has(port)) onBusy(service.name, port, reason);
      busy.set(
        port,
        `service ${service.name}: its health check port ${port} cannot be listened at (${reason}), so its load balancer takes this node for one without endpoints; free the port`,
      );
    }
  };
  return {
    serve: async (services) => {
      await openMain();
      const wanted = new Map(
        services.flatMap((service) =>
          service.health === undefined ? [] : [[service.health.port, service] as const],
        ),
      );
      for (const [port, { server }] of ports) {
        if (wanted.has(port)) continue;
        stop(server);
        ports.delete(port);
      }
      for (const port of busy.keys()) if (!wanted.has(port)) busy.delete(port);
      for (const [port, service] of wanted) {
        const listening = ports.get(port);
        if (listening !== undefined) listening.service = service;
        else await open(service, port);
      }
    },
    get isOpen() {
      return main !== undefined;
    },
    get problems() {
      return [...(mainProblem === undefined ? [] : [mainProblem]), ...busy.values()];
    },
    close: () => {
      if (main !== undefined) stop(main);
      main = undefined;
      mainProblem = undefined;
      for (const { server } of ports.values()) stop(server);
      ports.clear();
      busy.clear();
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

function listen(
  reply: (path: string) => HealthAnswer,
  where: { host?: string; port: number },
): Promise<Server> {
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
    server.listen(where, () => {
      // An agent that ends need not wait for its callers.
      server.unref();
      resolve(server);
    });
  });
}

function stop(server: Server): void {
  server.close();
  server.closeAllConnections();
}
