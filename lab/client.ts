/** The API of a lab, as the agents' own client reaches it from the machine. */
import { FairleadError } from '../src/base/errors/errors.ts';
import { KubeClient } from '../src/edge/kubernetes/client.ts';
import { readAccess } from './api-access.ts';
import type { LabPlan } from './topology.ts';

/** @throws FairleadError where the lab has no API. */
export function clientOf(plan: LabPlan): KubeClient {
  const { name } = plan.options;
  const access = readAccess(name);
  if (access === undefined)
    throw new FairleadError(
      'FL_LAB',
      `lab ${name} has no API; run 'fairlead lab api --name ${name}', which starts it`,
    );
  return new KubeClient({
    server: new URL(`https://127.0.0.1:${access.port}`),
    origin: `lab ${name}`,
    token: { text: access.token },
    ca: { text: access.certificate },
  });
}
