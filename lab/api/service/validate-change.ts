/** What of a service stays as it was first. */
import type { Cause } from '../request/failure.ts';
import { at, type Fields, listAt, textAt } from '../storage/object.ts';
import { needsClusterIp, needsHealthPort } from './type.ts';

export function changeProblems(service: Fields, before: Fields): Cause[] {
  const causes: Cause[] = [];
  if (needsClusterIp(before) && needsClusterIp(service))
    for (const field of ['clusterIPs', 'ipFamilies']) {
      const [now, had] = [service, before].map((object) => listAt(object, 'spec', field).map(String));
      if (had![0] !== undefined && now![0] !== had![0])
        causes.push(unchangeable(`spec.${field}[0]`, now![0] ?? ''));
    }
  const balanced = [before, service].every((object) => textAt(object, 'spec', 'type') === 'LoadBalancer');
  if (balanced && at(before, 'spec', 'loadBalancerClass') !== at(service, 'spec', 'loadBalancerClass'))
    causes.push(unchangeable('spec.loadBalancerClass', at(service, 'spec', 'loadBalancerClass')));
  const [port, had] = [service, before].map((object) => at(object, 'spec', 'healthCheckNodePort'));
  if (needsHealthPort(before) && needsHealthPort(service) && had !== undefined && port !== had)
    causes.push(unchangeable('spec.healthCheckNodePort', port));
  return causes;
}

function unchangeable(field: string, value: unknown): Cause {
  return { field, message: `Invalid value: ${JSON.stringify(value ?? null)}: may not change once set` };
}
