/** The process of a cluster DNS: it watches services and slices, and answers once it knows them all. */
import { FairleadError } from '../../src/base/errors/errors.ts';
import { createLogger } from '../../src/base/log/logger.ts';
import { KubeClient } from '../../src/edge/kubernetes/client.ts';
import { Reflector } from '../../src/edge/kubernetes/reflector.ts';
import { INSIDE_PORT, readAccess } from '../api-access.ts';
import { requireLab } from '../state.ts';
import { answerTo } from './answer.ts';
import { DNS_SERVICE_KIND, DNS_SLICE_KIND } from './objects.ts';
import { serveDns } from './server.ts';
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
  const zone = await new Promise<{ latest: Zone }>((resolve) => {
    const held: { latest: Zone } = { latest: new Map() };
    const onChange = () => {
      if (!services.complete || !slices.complete) return;
      held.latest = makeZone(services.objects.values(), slices.objects.values());
      resolve(held);
    };
    const services = new Reflector({ client, kind: DNS_SERVICE_KIND, onChange });
    const slices = new Reflector({ client, kind: DNS_SLICE_KIND, onChange });
  });
  await serveDns((query) => answerTo(zone.latest, query), PORT);
  logger.info('the DNS serves', { port: PORT, names: zone.latest.size });
  return new Promise<never>(() => undefined);
}
