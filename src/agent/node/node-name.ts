/** Who this node is in the cluster. */
import { FairleadError } from '../../base/errors/errors.ts';

/**
 * @param configured `node.name`; empty where nothing is said.
 * @param given the environment variable NODE_NAME: in a pod the name of its node.
 * @param host of the machine; in lower case and without spaces it is what a kubelet registers as (its `--hostname-override`
 * is to be said here too).
 */
export function nodeNameOf(configured: string, given: string | undefined, host: string): string {
  const name = configured || given || host.trim().toLowerCase();
  if (name !== '') return name;
  throw new FairleadError(
    'FL_CONFIGURATION',
    'node.name: this machine has no name; say here what it is called in the cluster',
  );
}
