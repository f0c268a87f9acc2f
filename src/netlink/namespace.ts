/** A network namespace, held open by a descriptor: it lives at least as long as this does. */
import { describeError, FairleadError } from '../errors/errors.ts';
import { native } from './native.ts';

export class NetworkNamespace {
  readonly path: string;
  readonly fd: number;
  /** Two paths with one identity are one namespace. */
  readonly identity: string;
  #open = true;

  private constructor(path: string, opened: { fd: number; device: number; inode: number }) {
    this.path = path;
    this.fd = opened.fd;
    this.identity = `${opened.device}:${opened.inode}`;
  }

  /** @throws FairleadError for a path that is no network namespace, whatever else it is. */
  static open(path: string): NetworkNamespace {
    try {
      return new NetworkNamespace(path, native.openNamespace(path));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const reason =
        code === 'EINVAL'
          ? 'is not a network namespace'
          : code === 'ENOENT'
            ? 'does not exist'
            : `cannot be opened: ${describeError(error)}`;
      throw new FairleadError('FL_NAMESPACE', `network namespace ${JSON.stringify(path)} ${reason}`, {
        cause: error,
      });
    }
  }

  /** The namespace of this process. */
  static own(): NetworkNamespace {
    return NetworkNamespace.open('/proc/self/ns/net');
  }

  [Symbol.dispose](): void {
    if (this.#open) native.closeFd(this.fd);
    this.#open = false;
  }
}
