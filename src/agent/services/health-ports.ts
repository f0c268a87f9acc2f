/** The ports at which load balancers ask for the endpoints of this node: as many servers as services have such a port. */
import { createServer, type Server } from 'node:http';
import { describeError } from '../../base/errors/errors.ts';
import type { HealthAnswer } from '../../plan/service/health.ts';
import type { PlannedService } from '../../plan/service/table.ts';

/** Opens a port that answers every request alike, as it is then. @throws where the port is taken. */
export type ListenHealth = (port: number, answer: () => HealthAnswer) => Promise<{ close(): Promise<void> }>;

export type ServiceHealthPorts = {
  /** @returns what could not be opened, by service: it is tried again with the next call. */
  set(services: readonly PlannedService[]): Promise<readonly { service: string; problem: string }[]>;
  close(): Promise<void>;
};

type Open = { service: PlannedService; close(): Promise<void> };

/** @param answer for a service as it is now. Calls of `set` must not overlap. */
export function createServiceHealthPorts(
  listen: ListenHealth,
  answer: (service: PlannedService) => HealthAnswer,
): ServiceHealthPorts {
  const open = new Map<number, Open>();
  const closeAll = async (ports: readonly number[]) => {
    for (const port of ports) {
      await open.get(port)?.close();
      open.delete(port);
    }
  };
  return {
    set: async (services) => {
      const wanted = new Map<number, PlannedService>();
      const problems: { service: string; problem: string }[] = [];
      for (const service of services) {
        const { name, health } = service;
        const owner = health === undefined ? undefined : wanted.get(health.port)?.name;
        if (health !== undefined && owner === undefined) wanted.set(health.port, service);
        else if (health !== undefined)
          problems.push({
            service: name,
            problem: `healthCheckNodePort ${health.port} is service ${owner}’s already; give it another one`,
          });
      }
      await closeAll(
        [...open.keys()].filter((port) => open.get(port)!.service.name !== wanted.get(port)?.name),
      );
      for (const [port, service] of wanted) {
        const present = open.get(port);
        if (present !== undefined) {
          present.service = service;
          continue;
        }
        try {
          const opened: Open = { service, close: () => Promise.resolve() };
          const server = await listen(port, () => answer(opened.service));
          opened.close = () => server.close();
          open.set(port, opened);
        } catch (error) {
          problems.push({
            service: service.name,
            problem: `healthCheckNodePort ${port} could not be opened: ${describeError(error)}`,
          });
        }
      }
      return problems;
    },
    close: () => closeAll([...open.keys()]),
  };
}

/** On all addresses of both families, for any path. */
export const listenHealth: ListenHealth = (port, answer) =>
  new Promise((resolve, reject) => {
    const server: Server = createServer((_, response) => {
      const { status, headers, body } = answer();
      response.writeHead(status, headers).end(body);
    });
    server.once('error', reject);
    // Without an address Node.js takes both families, or the one that there is.
    server.listen(port, () => {
      server.off('error', reject);
      resolve({
        close: () =>
          new Promise((done) => {
            server.close(() => done());
            server.closeAllConnections();
          }),
      });
    });
  });
