/** DELs that no agent answered: the plugin kept them, and an agent completes them (cmd/cni/pending.c). */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describeError } from '../../base/errors/errors.ts';
import type { Logger } from '../../base/log/logger.ts';
import { CNI_CODES } from '../../edge/cni/errors.ts';
import { decodeRequest, type RequestFrame } from '../../edge/cni/frame.ts';
import { parseRequest } from '../../edge/cni/request.ts';
import type { CniReply } from '../../edge/cni/result/reply.ts';
import { type AttachmentKey, attachmentId } from '../../plan/pod/attachment.ts';

export type PendingDeletions = {
  /** Completes all that are kept; one that cannot be completed now stays. */
  complete(): Promise<void>;
  /** That of one attachment, by the caller, which has its turn: none behind it is waited for. */
  completeOf(key: AttachmentKey, complete: () => Promise<CniReply>): Promise<void>;
};

export type PendingDeletionsOptions = {
  stateDirectory: () => string;
  handle: (frame: RequestFrame) => Promise<CniReply>;
  log: Logger;
};

/** A kept DEL with its file; the error says why there is none in the file. */
type Kept = { path: string } & ({ frame: RequestFrame; id: string } | { error: unknown });

export function openPendingDeletions({
  stateDirectory,
  handle,
  log,
}: PendingDeletionsOptions): PendingDeletions {
  /** By file: what is under way is not begun again. */
  const underWay = new Set<string>();

  const completeOne = async ({ path, ...kept }: Kept, complete = handle): Promise<void> => {
    if (underWay.has(path)) return;
    underWay.add(path);
    try {
      if ('error' in kept) {
        log.warn('a kept DEL cannot be read; it is dropped', {
          file: path,
          reason: describeError(kept.error),
        });
      } else {
        const container = kept.frame.environment['CNI_CONTAINERID'];
        log.info('completes a DEL that no agent answered', { container });
        if (!isDone(await complete(kept.frame))) return;
      }
      rmSync(path, { force: true });
    } catch (error) {
      const reason = describeError(error);
      log.warn('a kept DEL could not be completed; it is tried again', { file: path, reason });
    } finally {
      underWay.delete(path);
    }
  };

  const paths = () => list(join(stateDirectory(), 'pending'));
  return {
    complete: async () => {
      for (const path of paths()) {
        // Read when it has its turn: meanwhile it may have been completed, and an ADD may have come after it.
        const kept = read(path);
        if (kept !== undefined) await completeOne(kept);
      }
    },
    completeOf: async (key, complete) => {
      for (const path of paths()) {
        const kept = read(path);
        if (kept !== undefined && 'id' in kept && kept.id === attachmentId(key))
          await completeOne(kept, complete);
      }
    },
  };
}

/** What the request itself is to blame for is not mended by another try. */
function isDone({ exitCode, stdout }: CniReply): boolean {
  if (exitCode === 0) return true;
  const { code } = JSON.parse(stdout) as { code: number };
  return code < CNI_CODES.TRY_AGAIN && code !== CNI_CODES.IO_FAILURE;
}

/** Which attachments the runtime has let go, as `container interface`. */
export function keptDeletions(stateDirectory: string): Set<string> {
  const kept = new Set<string>();
  for (const path of list(join(stateDirectory, 'pending'))) {
    try {
      const { CNI_CONTAINERID, CNI_IFNAME } = decodeRequest(readFileSync(path))?.environment ?? {};
      kept.add(`${CNI_CONTAINERID} ${CNI_IFNAME}`);
    } catch {
      // One that cannot be read says nothing of any pod.
    }
  }
  return kept;
}

function list(directory: string): string[] {
  try {
    // Under other names the plugin is writing just now.
    return readdirSync(directory)
      .filter((name) => name.endsWith('.del'))
      .toSorted()
      .map((name) => join(directory, name));
  } catch {
    return [];
  }
}

/** @returns undefined where it is not there any more. */
function read(path: string): Kept | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch {
    return undefined;
  }
  try {
    const frame = decodeRequest(bytes);
    if (frame === undefined) throw new TypeError('it is not whole');
    const request = parseRequest(frame.environment, frame.stdin);
    if (request.command !== 'DEL') throw new TypeError(`it is a ${request.command}`);
    const { configuration, containerId, ifname } = request;
    return { path, frame, id: attachmentId({ network: configuration.name, containerId, ifname }) };
  } catch (error) {
    return { path, error };
  }
}
