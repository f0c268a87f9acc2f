/** Who we are to the API, and whom we trust: read anew for every request, so that a renewed token counts at once. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describeError, FairleadError } from '../../base/errors/errors.ts';
import type { KubeAccess, Material } from './access.ts';
import { inClusterAccess } from './in-cluster.ts';
import { parseKubeconfig } from './kubeconfig.ts';

export type Credentials = {
  /** PEM. */
  ca?: string;
  /** PEM. */
  cert?: string;
  /** PEM. */
  key?: string;
  token?: string;
};

/**
 * @param kubeconfig path of the file; empty: the service account of the pod that this runs in.
 * @throws FairleadError that names what is wrong in it.
 */
export function readAccess(
  kubeconfig: string,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): KubeAccess {
  if (kubeconfig === '') return inClusterAccess(environment);
  return parseKubeconfig(readText({ file: kubeconfig }, kubeconfig), kubeconfig, dirname(kubeconfig));
}

/** @returns a function that reads the credentials as they are now. @throws FairleadError where they are none. */
export function followCredentials(access: KubeAccess): () => Credentials {
  const lastGood = new Map<string, string>();
  const read = (material: Material): string => {
    if ('text' in material) return material.text;
    try {
      const text = readText(material, access.origin);
      lastGood.set(material.file, text);
      return text;
    } catch (error) {
      // Between the removal of the old file and the writing of the new one there may be none.
      const text = lastGood.get(material.file);
      if (text === undefined) throw error;
      return text;
    }
  };
  const readAll = (): Credentials => ({
    ...(access.ca === undefined ? {} : { ca: read(access.ca) }),
    ...(access.certificate === undefined ? {} : { cert: read(access.certificate) }),
    ...(access.key === undefined ? {} : { key: read(access.key) }),
    ...(access.token === undefined ? {} : { token: checkToken(read(access.token), access.origin) }),
  });
  checkCredentials(readAll(), access.origin);
  return readAll;
}

function readText({ file }: { file: string }, origin: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const what = file === origin ? file : `${origin}: ${file}`;
    throw new FairleadError('FL_KUBECONFIG', `${what}: cannot be read; name a file that the agent can read`, {
      cause: error,
    });
  }
}

function checkToken(text: string, origin: string): string {
  const token = text.trim();
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new FairleadError(
      'FL_KUBECONFIG',
      `${origin}: the token is ${token === '' ? 'empty' : 'not one line of plain characters'}; write the token alone`,
    );
  }
  return token;
}

function checkCredentials({ ca, cert, key }: Credentials, origin: string): void {
  const check = (field: string, cure: string, parse: () => void) => {
    try {
      parse();
    } catch (error) {
      throw new FairleadError(
        'FL_KUBECONFIG',
        `${origin}: ${field} cannot be used: ${describeError(error)}; ${cure}`,
      );
    }
  };
  if (ca !== undefined)
    check('certificate-authority', 'give PEM certificates', () => {
      const found = ca.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
      if (found.length === 0) throw new Error('it holds no certificate');
      for (const one of found) void new X509Certificate(one).subject;
    });
  if (cert === undefined || key === undefined) return;
  check('client-certificate', 'give a PEM certificate', () => void new X509Certificate(cert));
  check('client-key', 'give the PEM key of the certificate', () => {
    if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)))
      throw new Error('it is the key of another certificate');
  });
}
