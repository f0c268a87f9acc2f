/** A file of what the kernel cannot hold, in the state directory: what could not be written is tried until it is. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { reasonOf } from '../errors/errors.ts';
import type { Logger } from '../log/logger.ts';
import { type Clock, MACHINE_CLOCK } from '../run/clock.ts';
import { Runner } from '../run/runner.ts';
import { writeAtomically } from './atomic-file.ts';

/** All that agent and plugin ever write into the state directory. */
export const STATE_NAMES = ['node.json', 'policies.json', 'settings.json', 'pending'] as const;

export type StateFile<T> = {
  /** Writes it before this returns, where that is possible; nothing where it is what was written last. */
  keep(content: T): void;
  /** Why the file is older than what was kept; one sentence. */
  readonly problem: string | undefined;
  [Symbol.dispose](): void;
};

/** @param onFailure called when it could not be written: what is on disk is out of date. */
export function openStateFile<T>(
  path: string,
  log: Logger,
  onFailure: () => void = () => undefined,
  clock: Clock = MACHINE_CLOCK,
): StateFile<T> {
  let wanted: string | undefined;
  let written: string | undefined;
  let problem: string | undefined;
  const write = () => {
    if (wanted === undefined || wanted === written) return;
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      writeAtomically(path, wanted, 0o600);
    } catch (error) {
      problem = `${path} cannot be written: ${reasonOf(error)}; it is tried again, and until then the next agent and cleanup know less than this one`;
      onFailure();
      throw error;
    }
    written = wanted;
    problem = undefined;
  };
  const retries = new Runner({
    clock,
    task: () => {
      write();
      log.info('no longer a problem', { file: path });
    },
    onError: (_, retryAfterMs) => log.debug('the state file is tried again', { file: path, retryAfterMs }),
  });
  return {
    keep: (content) => {
      wanted = `${JSON.stringify(content)}\n`;
      try {
        write();
      } catch {
        log.warn(problem ?? '');
        retries.trigger('retry');
      }
    },
    get problem() {
      return problem;
    },
    [Symbol.dispose]: () => void retries.stop(),
  };
}
