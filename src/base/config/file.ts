/** The configuration file: read once, and followed. */
import { type FSWatcher, readFileSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import { describeError, FairleadError } from '../errors/errors.ts';
import type { Configuration } from './configuration.ts';
import { parseConfiguration } from './parse.ts';

export function readConfigurationFile(path: string): Configuration {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new FairleadError(
      'FL_CONFIGURATION',
      `${path}: cannot be read: ${describeError(error)}; name a file that exists`,
    );
  }
  return parseConfiguration(text, path);
}

export type FileWatch = { [Symbol.dispose](): void };

/**
 * Calls back with each new valid content, and with the reason why a new content is refused. The directory is watched,
 * not the file: editors rename, and a ConfigMap is swapped by a symbolic link beside it.
 */
export function followConfigurationFile(
  path: string,
  onChange: (configuration: Configuration) => void,
  onRefused: (error: unknown) => void,
): FileWatch {
  let last = read(path);
  let timer: NodeJS.Timeout | undefined;
  const look = () => {
    const text = read(path);
    if (text === last || text === undefined) return;
    last = text;
    try {
      onChange(parseConfiguration(text, path));
    } catch (error) {
      onRefused(error);
    }
  };
  const watcher: FSWatcher = watch(dirname(path), { persistent: false }, (_, name) => {
    if (name !== null && name !== basename(path) && !name.startsWith('..')) return;
    clearTimeout(timer);
    timer = setTimeout(look, SETTLE_MS);
  });
  watcher.on('error', onRefused);
  return {
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      watcher.close();
    },
  };
}

const SETTLE_MS = 50;

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
