/** A NetworkPolicy (networking.k8s.io/v1). One with a mistake is kept: what it selects is closed until it is mended. */

import {
  generationOf,
  type Kind,
  type KubeObject,
  readMetadata,
  type Trimmed,
} from '../../edge/kubernetes/object.ts';
import type { NetworkPolicy } from '../../plan/policy/parse/objects.ts';
import { parseNetworkPolicy } from '../../plan/policy/parse/parse-network-policy.ts';

export type PolicyObject = KubeObject & { namespace: string; generation: number; policy: NetworkPolicy };

export const NETWORK_POLICY_KIND: Kind<PolicyObject> = {
  name: 'networkpolicy',
  path: '/apis/networking.k8s.io/v1/networkpolicies',
  trim: trimNetworkPolicy,
};

export function trimNetworkPolicy(value: unknown): Trimmed<PolicyObject> {
  const read = readMetadata(value);
  if ('problem' in read) return read;
  const { namespace, name, uid, resourceVersion, metadata } = read;
  if (namespace === undefined) return { problem: 'metadata.namespace: is missing' };
  const { policy, problem } = parseNetworkPolicy(namespace, name, value);
  return {
    object: { namespace, name, uid, resourceVersion, generation: generationOf(metadata), policy },
    ...(problem === undefined ? {} : { problem }),
  };
}
