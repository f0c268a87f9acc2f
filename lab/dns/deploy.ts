/** The cluster DNS as objects: the service at the address that pods ask, and a pod on each of the first nodes. */

import type { Grant } from '../api/access/authorize.ts';
import type { Api } from '../api/api.ts';
import { kindNamed } from '../api/kinds.ts';
import { ensureObject } from '../api/validation/owner.ts';
import { FAIRLEAD } from '../processes.ts';
import { dnsAddresses } from '../slices/cluster-services.ts';
import { labRoot } from '../state.ts';
import type { LabPlan } from '../topology.ts';

const NAMESPACE = 'kube-system';
const LABELS = { 'k8s-app': 'kube-dns' };
const PORT = 53;
/** So that names are known while one of them starts anew. */
const PODS = 2;

/** What it may do: read what names follow from. */
export const DNS_GRANTS: readonly Grant[] = [
  {
    rules: [
      { apiGroups: [''], resources: ['services'], verbs: ['list', 'watch'] },
      { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
    ],
  },
];

/** Until it is disposed of: a pod of it that was deleted comes back, as a Deployment's would. */
export function keepDns(plan: LabPlan, api: Api): Disposable {
  const ips = dnsAddresses(plan);
  ensureObject(api, 'Service', {
    metadata: { name: 'kube-dns', namespace: NAMESPACE, labels: LABELS } as { name: string },
    spec: {
      selector: LABELS,
      clusterIPs: ips,
      ports: [
        { name: 'dns', port: PORT, protocol: 'UDP' },
        { name: 'dns-tcp', port: PORT, protocol: 'TCP' },
      ],
    },
  });
  const ensurePods = () => {
    for (const { name } of plan.nodes.slice(0, PODS))
      ensureObject(api, 'Pod', {
        metadata: { name: `dns-${name}`, namespace: NAMESPACE, labels: LABELS } as { name: string },
        spec: {
          nodeName: name,
          dnsPolicy: 'Default',
          terminationGracePeriodSeconds: 1,
          containers: [
            {
              name: 'dns',
              image: 'fairlead',
              command: [FAIRLEAD, 'lab', 'dns', 'serve', '--name', plan.options.name],
              env: [{ name: 'FAIRLEAD_LAB_ROOT', value: labRoot() }],
              ports: [
                { name: 'dns', containerPort: PORT, protocol: 'UDP' },
                { name: 'dns-tcp', containerPort: PORT, protocol: 'TCP' },
              ],
              readinessProbe: { tcpSocket: { port: PORT }, periodSeconds: 1 },
            },
          ],
        },
      });
  };
  ensurePods();
  return api.store.watch(({ type, kind, object }) => {
    if (type === 'DELETED' && kind === kindNamed('Pod') && object.metadata.namespace === NAMESPACE)
      setImmediate(ensurePods);
  });
}
