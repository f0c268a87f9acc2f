/**
 * Where network policies had a say when they were last known, kept on disk: an agent that starts while the API does not
 * answer lets no pod start there, since nobody knows what it may do.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PolicyInput } from '../../plan/policy/compile/compile.ts';
import { writeStateFile } from '../node/node-record.ts';

export type PolicyScope = {
  namespaces: readonly string[];
  /** Some policy of the cluster may mean any namespace. */
  everywhere: boolean;
};

const FILE = 'policies.json';

export function scopeOf({ policies, clusterPolicies }: PolicyInput): PolicyScope {
  const inForce = policies.filter(({ staged }) => !staged);
  return {
    namespaces: [...new Set(inForce.map(({ namespace }) => namespace))].sort(),
    everywhere: clusterPolicies.some(({ staged }) => !staged),
  };
}

export function savePolicyScope(directory: string, scope: PolicyScope): void {
  writeStateFile(directory, FILE, scope);
}

/** @returns undefined where nobody ever knew. */
export function loadPolicyScope(directory: string): PolicyScope | undefined {
  try {
    const { namespaces, everywhere } = JSON.parse(readFileSync(join(directory, FILE), 'utf8')) as Record<
      keyof PolicyScope,
      unknown
    >;
    if (!Array.isArray(namespaces) || typeof everywhere !== 'boolean') return undefined;
    return { namespaces: namespaces.map(String), everywhere };
  } catch {
    return undefined;
  }
}

/** Whether a pod may be selected by a policy. @param namespace absent: the runtime did not say whose pod it is. */
export function mayBeSelected(scope: PolicyScope | undefined, namespace: string | undefined): boolean {
  if (namespace === undefined) return false;
  return scope === undefined || scope.everywhere || scope.namespaces.includes(namespace);
}
