/** Files that are there whole or not at all, also after a crash or a power failure at any point. */
import { closeSync, fchmodSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** No runtime looks at files with this ending, and the next attempt takes away what a crash left. */
const UNFINISHED = '.new';

/**
 * Replaces a file. Who has the old one open, or runs it, keeps it.
 * @param mode whatever the umask.
 * @param check looks at the new file before it counts; what it throws leaves the old one.
 * @throws the error of the file system: ENOENT where the folder is missing, EROFS where it cannot be written.
 */
export function writeAtomically(
  path: string,
  content: string | Buffer,
  mode: number,
  check: (path: string) => void = () => undefined,
): void {
  const unfinished = `${path}${UNFINISHED}`;
  rmSync(unfinished, { force: true });
  const fd = openSync(unfinished, 'wx', mode);
  try {
    try {
      const bytes = Buffer.from(content);
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      fchmodSync(fd, mode);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    check(unfinished);
    renameSync(unfinished, path);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
}

/** @returns whether it was there. */
export function removeDurably(path: string): boolean {
  try {
    rmSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  syncFolder(dirname(path));
  return true;
}

/** The name in a folder is durable when the folder is. */
function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
