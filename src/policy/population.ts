/**
 * The pods of a cluster, told apart by namespace and labels alone: selectors are asked once for each of these
 * identities, of which there are far fewer than pods.
 */
import type { Labels, Peer, PolicyNamespace, PolicyPod, Selector } from './objects.ts';
import { meets } from './selector.ts';

export type Identity = { namespace: string; labels: Labels; pods: PolicyPod[] };

export type Population = {
  identities: readonly Identity[];
  /** Labels of a namespace that nobody described are none. */
  namespaceLabels: ReadonlyMap<string, Labels>;
  /** The pods that a peer of a policy means, remembered by what it says. */
  podsOf(peer: Peer & { kind: 'pods' }, ownNamespace: string): readonly PolicyPod[];
};

export function populate(pods: readonly PolicyPod[], namespaces: readonly PolicyNamespace[]): Population {
  const byKey = new Map<string, Identity>();
  const keys = new Map<Labels, string>();
  for (const pod of pods) {
    if (!hasNetwork(pod)) continue;
    let labels = keys.get(pod.labels);
    if (labels === undefined) keys.set(pod.labels, (labels = JSON.stringify(pod.labels)));
    const key = `${pod.namespace} ${labels}`;
    const identity = byKey.get(key);
    if (identity === undefined) byKey.set(key, { namespace: pod.namespace, labels: pod.labels, pods: [pod] });
    else identity.pods.push(pod);
  }
  const identities = [...byKey.values()];
  const namespaceLabels = new Map(namespaces.map(({ name, labels }) => [name, labels]));
  const known = new Map<string, readonly PolicyPod[]>();
  return {
    identities,
    namespaceLabels,
    podsOf: (peer, ownNamespace) => {
      const key = JSON.stringify([
        peer.namespaces === undefined ? ownNamespace : '',
        peer.namespaces,
        peer.pods,
      ]);
      let found = known.get(key);
      if (found === undefined) {
        found = identities
          .filter((identity) => isMeant(identity, peer, ownNamespace, namespaceLabels))
          .flatMap((one) => one.pods);
        known.set(key, found);
      }
      return found;
    },
  };
}

/** Whether it has addresses of its own, and still has them. */
export function hasNetwork({ hostNetwork, phase }: PolicyPod): boolean {
  return !hostNetwork && phase !== 'Succeeded' && phase !== 'Failed';
}

function isMeant(
  { namespace, labels }: Identity,
  peer: { namespaces?: Selector; pods: Selector },
  ownNamespace: string,
  namespaceLabels: ReadonlyMap<string, Labels>,
): boolean {
  const inNamespace =
    peer.namespaces === undefined
      ? namespace === ownNamespace
      : meets(namespaceLabels.get(namespace) ?? {}, peer.namespaces);
  return inNamespace && meets(labels, peer.pods);
}
