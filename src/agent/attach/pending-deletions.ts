/** DELs that came while no agent ran: the plugin kept them, the next agent completes them (cmd/cni/pending.c). */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describeError } from '../../base/errors/errors.ts';
import type { Logger } from '../../base/log/logger.ts';
import { decodeRequest, type RequestFrame } from '../../edge/cni/frame.ts';

export async function completePendingDeletions(
  stateDirectory: string,
  handle: (frame: RequestFrame) => Promise<unknown>,
  log: Logger,
): Promise<void> {
  const directory = join(stateDirectory, 'pending');
  for (const file of list(directory)) {
    const path = join(directory, file);
    try {
      const frame = decodeRequest(readFileSync(path));
      if (frame?.environment['CNI_COMMAND'] === 'DEL') {
        log.info('completes a DEL that came without an agent', {
          container: frame.environment['CNI_CONTAINERID'],
        });
        await handle(frame);
      } else {
        log.warn('a kept DEL cannot be read; it is dropped', { file: path });
      }
    } catch (error) {
      log.warn('a kept DEL cannot be read; it is dropped', { file: path, reason: describeError(error) });
    }
    rmSync(path, { force: true });
  }
}

function list(directory: string): string[] {
  try {
    // Under other names the plugin is writing just now.
    return readdirSync(directory)
      .filter((file) => file.endsWith('.del'))
      .toSorted();
  } catch {
    return [];
  }
}
