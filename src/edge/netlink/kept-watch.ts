/** A watch that outlives its thread: on a new socket, as soon as there is one, and what was missed is said. */
import { describeError } from '../../base/errors/errors.ts';

/** As {@link NetlinkSocket} is, bound to the groups that are listened to. */
export type WatchedSocket = {
  watch(callback: (datagram: Buffer | null, ended?: string) => void): () => void;
  [Symbol.dispose](): void;
};

export type KeptWatch = {
  /** While nothing is heard: one sentence. */
  readonly problem: string | undefined;
  [Symbol.dispose](): void;
};

export type KeptWatchOptions = {
  open: () => WatchedSocket;
  /** Of what: `the routes and links of this node`. */
  what: string;
  /** null: some were lost, and may have been anything. */
  onDatagram: (datagram: Buffer | null) => void;
  onProblem?: ((problem: string) => void) | undefined;
  /** Milliseconds until the next attempt. */
  retryMs?: number;
};

const RETRY_MS = 1000;

/** @throws what the first `open` throws. */
export function keepWatching({
  open,
  what,
  onDatagram,
  onProblem,
  retryMs = RETRY_MS,
}: KeptWatchOptions): KeptWatch {
  let problem: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stop: () => void = () => undefined;
  const fail = (reason: string) => {
    problem = `changes of ${what} are not heard of (${reason}); a comparison finds them each resyncSeconds, and it is listened again every second`;
    onProblem?.(problem);
    timer = setTimeout(again, retryMs);
    timer.unref();
  };
  const start = () => {
    const socket = open();
    let end: () => void = () => undefined;
    stop = () => {
      end();
      socket[Symbol.dispose]();
      stop = () => undefined;
    };
    end = socket.watch((datagram, ended) => {
      if (ended === undefined) return onDatagram(datagram);
      stop();
      fail(ended);
    });
  };
  const again = () => {
    try {
      start();
    } catch (error) {
      stop();
      return fail(describeError(error));
    }
    problem = undefined;
    onDatagram(null);
  };
  start();
  return {
    get problem() {
      return problem;
    },
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      stop();
    },
  };
}
