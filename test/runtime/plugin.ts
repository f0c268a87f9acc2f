/** The plugin while a runtime runs it. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { until } from '../until.ts';
import type { Workplace } from './workplace.ts';

/**
 * Until a plugin of this place has its whole input, and so goes on without its runtime: it opens its only socket after
 * it has read everything.
 */
export function pluginToWait({ plugins }: Workplace): Promise<void> {
  return until('a plugin waits for the agent', () =>
    readdirSync('/proc').some((pid) => {
      if (!/^\d+$/.test(pid)) return false;
      try {
        return (
          readFileSync(`/proc/${pid}/comm`, 'utf8') === 'fairlead-cni\n' &&
          readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`CNI_PATH=${plugins}\0`) &&
          readdirSync(`/proc/${pid}/fd`).some(
            (fd) => Number(fd) > 2 && readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith('socket:'),
          )
        );
      } catch {
        return false;
      }
    }),
  );
}
