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

/** @throws FairleadError where there is no access. */
export function openClusterClient({ kubeconfig }: Options): KubeClient {
  return new KubeClient(readAccess(typeof kubeconfig === 'string' ? kubeconfig : defaultKubeconfig()));
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
