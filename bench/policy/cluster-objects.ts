/** The objects of a cluster as operators make them: five apps per namespace, and ten policies that close and open them. */
import type { FakeObject } from '../../test/kube/fake-api.ts';

export const POD_PATH = '/api/v1/pods';
export const POLICY_PATH = '/apis/networking.k8s.io/v1/networkpolicies';
const NAMESPACES = 100;
const PODS_PER_NAMESPACE = 100;
const APPS = ['web', 'api', 'cache', 'db', 'job'] as const;
/** Of the measured node, one in each namespace. */
export const LOCAL_PODS = 50;

export function podObject(
  namespace: string,
  name: string,
  app: string,
  ip: string | undefined,
  local = false,
): FakeObject {
  return {
    metadata: { namespace, name, labels: { app, release: 'stable' } },
    spec: {
      nodeName: local ? 'node-1' : 'node-2',
      containers: [{ name: 'main', ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }] }],
    },
    status: ip === undefined ? { phase: 'Pending' } : { phase: 'Running', podIP: ip, podIPs: [{ ip }] },
  };
}

export function localPod(index: number): { namespace: string; name: string } {
  return { namespace: `ns-${index}`, name: `ns-${index}-pod-0` };
}

/** The first one of each of the first namespaces is of the measured node, which knows its address better. */
export function clusterPods(): FakeObject[] {
  return Array.from({ length: NAMESPACES * PODS_PER_NAMESPACE }, (_, index) => {
    const [namespace, number] = [Math.floor(index / PODS_PER_NAMESPACE), index % PODS_PER_NAMESPACE];
    const ip = `10.245.${index >> 8}.${index & 255}`;
    const local = number === 0 && namespace < LOCAL_PODS;
    return podObject(
      `ns-${namespace}`,
      `ns-${namespace}-pod-${number}`,
      APPS[number % APPS.length]!,
      ip,
      local,
    );
  });
}

export function policyObject(namespace: string, name: string, spec: Record<string, unknown>): FakeObject {
  return { metadata: { namespace, name }, spec };
}

export function clusterPolicies(): FakeObject[] {
  const app = (name: string) => ({ matchLabels: { app: name } });
  return Array.from({ length: NAMESPACES }, (_, index) => {
    const rules: [string, Record<string, unknown>][] = [
      ['deny', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }],
      [
        'dns',
        { podSelector: {}, policyTypes: ['Egress'], egress: [{ ports: [{ protocol: 'UDP', port: 53 }] }] },
      ],
      [
        'outside',
        {
          podSelector: app('web'),
          policyTypes: ['Egress'],
          egress: [{ to: [{ ipBlock: { cidr: '0.0.0.0/0', except: ['10.0.0.0/8', '169.254.0.0/16'] } }] }],
        },
      ],
      [
        'monitoring',
        {
          podSelector: {},
          ingress: [
            {
              from: [{ namespaceSelector: { matchLabels: { team: `t${index % 10}` } } }],
              ports: [{ port: 9090 }],
            },
          ],
        },
      ],
      ...APPS.map((name, number): [string, Record<string, unknown>] => [
        `to-${name}`,
        {
          podSelector: app(name),
          ingress: [
            { from: [{ podSelector: app(APPS[(number + 1) % APPS.length]!) }], ports: [{ port: 'http' }] },
          ],
        },
      ]),
      [
        'from-web',
        { podSelector: app('web'), policyTypes: ['Egress'], egress: [{ to: [{ podSelector: {} }] }] },
      ],
    ];
    return rules.map(([name, spec]) => policyObject(`ns-${index}`, `ns-${index}-${name}`, spec));
  }).flat();
}
