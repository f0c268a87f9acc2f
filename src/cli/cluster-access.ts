/** How commands that ask the whole cluster reach its API: as kubectl does, and from inside a pod without a file. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { FairleadError } from '../base/errors/errors.ts';
import { KubeClient } from '../edge/kubernetes/client.ts';
import { readAccess } from '../edge/kubernetes/credentials.ts';
import type { Options } from './command.ts';

export const CLUSTER_OPTIONS = { kubeconfig: { type: 'string' } } as const;
export const CLUSTER_HELP = {
  kubeconfig: 'access to the API (default $KUBECONFIG, ~/.kube/config, or the service account of this pod)',
} as const;

/** Commands act for the person that runs them: in the pod of an agent its account is the wrong one. */
const RIGHTS =
  'use an account that may do that: run it where your kubectl works, or name your kubeconfig with --kubeconfig';

/** @throws FairleadError where there is no access. */
export function openClusterClient({ kubeconfig }: Options): KubeClient {
  const access = readAccess(typeof kubeconfig === 'string' ? kubeconfig : defaultKubeconfig());
  return new KubeClient({ ...access, rights: RIGHTS });
}

/** Whether there is any without an option. */
export function hasClusterAccess(): boolean {
  try {
    defaultKubeconfig();
    return true;
  } catch {
    return false;
  }
}

/** Of several files in the variable the first one. */
function defaultKubeconfig(): string {
  const named = process.env['KUBECONFIG']?.split(delimiter).find((path) => path !== '');
  if (named !== undefined) return named;
  const usual = join(homedir(), '.kube', 'config');
  if (existsSync(usual)) return usual;
  if (process.env['KUBERNETES_SERVICE_HOST'] === undefined)
    throw new FairleadError(
      'FL_KUBECONFIG',
      `there is no $KUBECONFIG and no ${usual}, and this is no pod of Kubernetes; name a kubeconfig with --kubeconfig`,
    );
  return '';
}
