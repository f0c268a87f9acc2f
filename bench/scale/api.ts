/** Starts the large cluster's API beside an agent, and tells it what shall happen to its nodes. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { selfSignedCertificate } from '../../lab/api/access/certificate.ts';
import { kubeconfig } from '../../lab/api/access/kubeconfig.ts';
import { INSIDE_PORT } from '../../lab/api-access.ts';
import { namespacePath } from '../../lab/namespaces.ts';
import { parseIp } from '../../src/base/ip/ip.ts';
import type { Done, Order } from './api-process.ts';

type Wish = Order extends infer O ? (O extends Order ? Omit<O, 'id'> : never) : never;

export type LargeApi = {
  /** Path of the kubeconfig. */
  kubeconfig: string;
  /** @returns when it was written, in milliseconds of the shared clock. */
  order: (wish: Wish) => Promise<number>;
  pid: number;
  [Symbol.dispose](): void;
};

const SCRIPT = join(import.meta.dirname, 'api-process.ts');

/** @param namespace in whose loopback it serves. @returns once it does. */
export async function startLargeApi(namespace: string, directory: string): Promise<LargeApi> {
  const pair = selfSignedCertificate(
    'fairlead-bench',
    { names: ['localhost'], ips: [parseIp('127.0.0.1')] },
    Date.now(),
  );
  const access = { port: INSIDE_PORT, token: randomBytes(24).toString('hex'), ...pair };
  const [accessFile, kubeconfigFile] = [join(directory, 'access.json'), join(directory, 'kubeconfig')];
  writeFileSync(accessFile, JSON.stringify(access), { mode: 0o600 });
  const server = `https://127.0.0.1:${access.port}`;
  writeFileSync(kubeconfigFile, kubeconfig('bench', server, access.certificate, access.token), {
    mode: 0o600,
  });
  const child = spawn(
    'nsenter',
    [`--net=${namespacePath(namespace)}`, process.execPath, SCRIPT, accessFile],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
  );
  const waiting = new Map<number, (at: number) => void>();
  let lastId = 0;
  child.on('message', (message) => {
    const { id, at } = message as Done;
    waiting.get(id)?.(at);
    waiting.delete(id);
  });
  const ended = new Promise<never>((_, reject) => {
    child.once('error', reject);
    child.once('exit', (status) => reject(new Error(`the API of the benchmark ended with status ${status}`)));
  });
  // Who waits for nothing at that moment need not know.
  ended.catch(() => undefined);
  const answer = (id: number) =>
    Promise.race([ended, new Promise<number>((resolve) => waiting.set(id, resolve))]);
  await answer(0);
  return {
    kubeconfig: kubeconfigFile,
    order: (wish) => {
      const id = ++lastId;
      const answered = answer(id);
      child.send({ ...wish, id });
      return answered;
    },
    pid: child.pid!,
    [Symbol.dispose]: () => void child.kill(),
  };
}
