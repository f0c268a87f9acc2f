/**
 * Where network policies had a say when they were last known, kept on disk: an agent that starts while the API does not
 * answer lets no pod start there, since it is not known what it may do.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { openStateFile, type StateFile } from '../../base/files/state-file.ts';
import type { Logger } from '../../base/log/logger.ts';
import type { Clock } from '../../base/run/clock.ts';
import type { PolicyInput } from '../../plan/policy/compile/compile.ts';

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

/**
 * Where it cannot be written there is none: pods of a namespace that has just got its first policy would start open by the
 * old one.
 */
export function openPolicyRecord(directory: string, log: Logger, clock?: Clock): StateFile<PolicyScope> {
  const path = join(directory, FILE);
  const forget = () => {
    try {
      rmSync(path, { force: true });
    } catch {
      // A file system that is read-only keeps it; the problem of the file says so.
    }
  };
  return openStateFile(path, log, forget, clock);
}

/** @returns undefined where it was never known. */
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
