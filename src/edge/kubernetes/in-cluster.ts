/** Access to the API from inside a pod: the environment that every container gets, and its service account's files. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FairleadError } from '../../base/errors/errors.ts';
import type { KubeAccess } from './access.ts';

/** Where Kubernetes mounts the token, the authority and the namespace. */
export const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/**
 * @param environment KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT; an IPv6 host comes without brackets.
 * @throws FairleadError outside a pod.
 */
export function inClusterAccess(
  environment: Readonly<Record<string, string | undefined>>,
  folder: string = SERVICE_ACCOUNT,
): KubeAccess {
  const host = environment['KUBERNETES_SERVICE_HOST'];
  const port = environment['KUBERNETES_SERVICE_PORT'];
  if (host === undefined || host === '' || port === undefined || port === '') {
    throw new FairleadError(
      'FL_KUBECONFIG',
      'the environment has no KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, so this is no pod of Kubernetes; ' +
        'name a file in cluster.kubeconfig',
    );
  }
  const address = `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
  if (!URL.canParse(address) || !/^\d+$/.test(port)) {
    throw new FairleadError(
      'FL_KUBECONFIG',
      `KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT: ${JSON.stringify(`${host}:${port}`)} is not an address; ` +
        'correct the environment of the pod',
    );
  }
  return {
    server: new URL(address),
    origin: folder,
    ca: { file: join(folder, 'ca.crt') },
    token: { file: join(folder, 'token') },
  };
}

/** @returns that of the pod that this runs in; undefined outside of pods. */
export function podNamespace(folder: string = SERVICE_ACCOUNT): string | undefined {
  try {
    return readFileSync(join(folder, 'namespace'), 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}
