/** Shapes of NetworkPolicy (networking.k8s.io/v1) and ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2). */
import { conditions, kindShape, labelSelector } from './meta.ts';
import {
  atomic,
  each,
  integer,
  list,
  type ObjectType,
  object,
  type Type,
  text,
  textOrNumber,
} from './type.ts';

const peer = object({
  podSelector: labelSelector,
  namespaceSelector: labelSelector,
  ipBlock: object({ cidr: text, except: list(text) }, ['cidr']),
});

const port = object({ protocol: text, port: textOrNumber, endPort: integer });

export const networkPolicy: ObjectType = kindShape({
  spec: object({
    podSelector: labelSelector,
    policyTypes: list(text),
    ingress: list(object({ from: list(peer), ports: list(port) })),
    egress: list(object({ to: list(peer), ports: list(port) })),
  }),
});

const pods = object({ namespaceSelector: labelSelector, podSelector: labelSelector }, ['podSelector']);
const range = object({ start: integer, end: integer }, ['start', 'end']);
const portSelector = object({ number: integer, range });
const byProtocol = object({ destinationPort: portSelector });
const protocol = object({ tcp: byProtocol, udp: byProtocol, sctp: byProtocol, destinationNamedPort: text });

function rule(direction: 'from' | 'to', peers: Readonly<Record<string, Type>>): Type {
  // Order decides: the list is replaced as a whole.
  return list(
    object(
      {
        ...each(text, 'name', 'action'),
        [direction]: list(object(peers)),
        protocols: list(protocol),
      },
      ['action', direction],
    ),
  );
}

export const clusterNetworkPolicy: ObjectType = kindShape(
  {
    spec: object(
      {
        tier: text,
        priority: integer,
        subject: object({ namespaces: labelSelector, pods: atomic(pods) }),
        ingress: rule('from', { namespaces: labelSelector, pods }),
        egress: rule('to', {
          namespaces: labelSelector,
          pods,
          nodes: labelSelector,
          networks: list(text),
          domainNames: list(text),
        }),
      },
      ['tier', 'priority', 'subject'],
    ),
    status: object({ conditions }),
  },
  ['spec'],
);
