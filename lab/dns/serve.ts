/** The process of a cluster DNS: it watches services and slices, and answers once it knows them all. */
import { FairleadError } from '../../src/base/errors/errors.ts';
import { createLogger } from '../../src/base/log/logger.ts';
import { KubeClient } from '../../src/edge/kubernetes/client.ts';
import { Reflector } from '../../src/edge/kubernetes/reflector.ts';
import { INSIDE_PORT, readAccess } from '../api-access.ts';
import { requireLab } from '../state.ts';
import { answerTo } from './answer.ts';
import { DNS_SERVICE_KIND, DNS_SLICE_KIND } from './objects.ts';
import { type Answering, serveDns } from './server.ts';
import { makeZone, type Zone } from './zone.ts';

const PORT = 53;

/** In the network of a pod. Serves until it is ended. */
export async function serveLabDns(lab: string): Promise<never> {
  const plan = requireLab(lab, ['starting', 'up']);
  const access = readAccess(lab);
  if (access?.dnsToken === undefined)
    throw new FairleadError('FL_LAB', `lab ${lab} has no DNS; bring it up with --api --dns`);
  const gateway = plan.subnets[0]!.gateway;
  const client = new KubeClient({
    server: new URL(`https://${gateway.includes(':') ? `[${gateway}]` : gateway}:${INSIDE_PORT}`),
    origin: `lab ${lab}`,
    token: { text: access.dnsToken },
    ca: { text: access.certificate },
  });
  const logger = createLogger({ level: 'info', format: 'text' });
  const names = await followNames(client);
  await serveDns(names.answer, PORT);
  logger.info('the DNS serves', { port: PORT });
  return new Promise<never>(() => undefined);
}

export type Names = { answer: Answering } & Disposable;

/** @returns once all names are known; from then on they are as the API has them. */
export function followNames(client: KubeClient): Promise<Names> {
  let zone: Zone = new Map();
  return new Promise((resolve) => {
    const onChange = () => {
      if (!services.complete || !slices.complete) return;
      zone = makeZone(services.objects.values(), slices.objects.values());
      resolve({
        answer: (query) => answerTo(zone, query),
        [Symbol.dispose]: () => {
          services[Symbol.dispose]();
          slices[Symbol.dispose]();
        },
      });
    };
    const services = new Reflector({ client, kind: DNS_SERVICE_KIND, onChange });
    const slices = new Reflector({ client, kind: DNS_SLICE_KIND, onChange });
  });
}
