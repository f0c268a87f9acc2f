/** A network namespace, held open by a descriptor: it lives at least as long as this does. */
import { describeError, FairleadError } from '../../base/errors/errors.ts';
import { errorCode } from './codec/errno.ts';
import { native } from './native.ts';

export class NetworkNamespace {
  readonly path: string;
  /** Two paths with one identity are one namespace. */
  readonly identity: string;
  #fd: number | undefined;

  private constructor(path: string, opened: { fd: number; device: number; inode: number }) {
    this.path = path;
    this.identity = `${opened.device}:${opened.inode}`;
    this.#fd = opened.fd;
  }

  /** @throws FairleadError for a path that is no network namespace, whatever else it is. */
  static open(path: string): NetworkNamespace {
    try {
      return new NetworkNamespace(path, native.openNamespace(path));
    } catch (error) {
      throw new FairleadError('FL_NAMESPACE', `network namespace ${JSON.stringify(path)} ${reason(error)}`);
    }
  }

  /** The namespace of this process. */
  static own(): NetworkNamespace {
    return NetworkNamespace.open('/proc/self/ns/net');
  }

  /** @throws TypeError once disposed: the number may mean another namespace by then. */
  get fd(): number {
    if (this.#fd === undefined) throw new TypeError(`network namespace ${this.path} is closed`);
    return this.#fd;
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) native.closeFd(this.#fd);
    this.#fd = undefined;
  }
}

function reason(error: unknown): string {
  const code = errorCode(error);
  if (code === 'EINVAL') return 'is not a network namespace';
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'does not exist';
  return `cannot be opened: ${describeError(error)}`;
}
