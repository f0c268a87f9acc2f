/** What every cluster has of services from its beginning: the ranges of their addresses, and `default/kubernetes`, the API. */
import { type Cidr, cidrFamily, nthIp } from '../../src/base/ip/cidr.ts';
import type { Ip } from '../../src/base/ip/ip.ts';
import type { Api } from '../api/api.ts';
import { FAMILY_NAMES } from '../api/service/families.ts';
import { DEFAULT_RANGE_NAME, SERVICE_RANGES } from '../api/service/ranges.ts';
import { ensureObject, setField } from '../api/validation/owner.ts';
import { INSIDE_PORT } from '../api-access.ts';
import { familiesOf, type LabPlan } from '../topology.ts';
import { SERVICE_LABEL } from './plan.ts';

const NAME = 'kubernetes';
const PORT = 443;
/** The place of the API, and that of the DNS, in the range of services, as in most clusters. */
const API_INDEX = 1;
const DNS_INDEX = 10;

export function keepClusterServices(plan: LabPlan, api: Api): void {
  const ranges = rangesOf(plan);
  const cidrs = ensureObject(api, 'ServiceCIDR', {
    metadata: { name: DEFAULT_RANGE_NAME },
    spec: { cidrs: ranges },
  });
  setField(api, cidrs, ['status'], {
    conditions: [
      {
        type: 'Ready',
        status: 'True',
        reason: '',
        message: '',
        lastTransitionTime: cidrs.metadata.creationTimestamp,
      },
    ],
  });
  ensureObject(api, 'Service', {
    metadata: { name: NAME, namespace: 'default' },
    spec: {
      clusterIP: nthIp(ranges[0]!, API_INDEX),
      ports: [{ name: 'https', port: PORT, targetPort: INSIDE_PORT }],
    },
  });
  // By the router between the nodes, where it listens.
  ensureObject(api, 'EndpointSlice', {
    metadata: { name: NAME, namespace: 'default', labels: { [SERVICE_LABEL]: NAME } } as { name: string },
    addressType: FAMILY_NAMES[cidrFamily(ranges[0]!)],
    ports: [{ name: 'https', protocol: 'TCP', port: INSIDE_PORT }],
    endpoints: [{ addresses: [plan.subnets[0]!.gateway], conditions: { ready: true } }],
  });
}

/** Of the DNS, the primary family first. */
export function dnsAddresses(plan: LabPlan): Ip[] {
  return rangesOf(plan).map((range) => nthIp(range, DNS_INDEX));
}

function rangesOf(plan: LabPlan): Cidr[] {
  return familiesOf(plan.options).map((family) => SERVICE_RANGES[family]);
}
