/** Puts onto a node what has to be there before its agent runs: the plugin, and settings of network managers. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Configuration } from '../../base/config/configuration.ts';
import { describeError, FairleadError } from '../../base/errors/errors.ts';
import { removeDurably, writeAtomically } from '../../base/files/atomic-file.ts';
import { namesPlugin, PLUGIN_NAME } from '../cni/network-list.ts';
import { type HostFile, networkdFiles, networkManagerFiles } from './host-files.ts';

/** Milliseconds that the plugin may take to say its versions. */
const PATIENCE_MS = 10_000;

/**
 * @param plugin the program.
 * @param tell one line for each file that was written.
 * @throws FairleadError FL_INSTALL with the first thing that could not be done.
 */
export function install(
  { cni, host }: Pick<Configuration, 'cni' | 'host'>,
  plugin: string,
  tell: (line: string) => void,
): void {
  if (cni.binDirectory !== '') installPlugin(plugin, cni.binDirectory, tell);
  for (const { path, text } of hostFiles(host)) {
    if (readIfThere(path)?.equals(Buffer.from(text)) === true) continue;
    attempt(path, () => {
      mkdirSync(dirname(path), { recursive: true });
      writeAtomically(path, text, 0o644);
    });
    tell(`wrote ${path}; it counts from the next start of that service on`);
  }
}

/** Files of ours outside our own folders that are there now. */
export function installedFiles({ cni, host }: Pick<Configuration, 'cni' | 'host'>): string[] {
  return [
    ...(cni.confDirectory === '' ? [] : [listPath(cni)]).filter(isOwnList),
    ...(cni.binDirectory === '' ? [] : [join(cni.binDirectory, PLUGIN_NAME)]),
    ...hostFiles(host).map(({ path }) => path),
  ].filter((path) => existsSync(path));
}

/** Takes away list and plugin, in this order: no runtime is led to a plugin that is gone. @returns what was there. */
export function uninstallFromRuntime(cni: Configuration['cni']): string[] {
  const paths = installedFiles({ cni, host: { systemdDirectory: '', networkManagerDirectory: '' } });
  return paths.filter((path) => attempt(path, () => removeDurably(path)));
}

export function listPath({ confDirectory, fileName }: Configuration['cni']): string {
  return join(confDirectory, fileName);
}

function installPlugin(plugin: string, folder: string, tell: (line: string) => void): void {
  const path = join(folder, PLUGIN_NAME);
  const program = readFileSync(plugin);
  if (readIfThere(path)?.equals(program) === true) return;
  // It may be running: that process keeps the file which it was started from.
  attempt(path, () => writeAtomically(path, program, 0o755, checkPlugin));
  tell(`installed ${path}`);
}

/** One for another processor, say, must not replace one that works. */
function checkPlugin(path: string): void {
  const env = { CNI_COMMAND: 'VERSION', CNI_PATH: dirname(path) };
  const { stdout, stderr, error, status } = spawnSync(path, {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    timeout: PATIENCE_MS,
  });
  if (status === 0 && stdout.includes('supportedVersions')) return;
  const said = error === undefined ? (stderr || stdout).trim().slice(0, 200) : describeError(error);
  throw new Error(`the new one does not run on this machine: ${said}; take the image for its processor`);
}

function hostFiles({ systemdDirectory, networkManagerDirectory }: Configuration['host']): HostFile[] {
  return [
    ...(systemdDirectory === '' ? [] : networkdFiles(systemdDirectory)),
    ...(networkManagerDirectory === '' ? [] : networkManagerFiles(networkManagerDirectory)),
  ];
}

function isOwnList(path: string): boolean {
  return namesPlugin(readIfThere(path)?.toString() ?? '');
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new FairleadError('FL_INSTALL', `${path} cannot be read`, { cause: error });
  }
}

function attempt<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw new FairleadError('FL_INSTALL', `${path}: ${reasonOf(error)}`);
  }
}

/** What is wrong with a file of the host, with the cure. */
export function reasonOf(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code ?? '') {
    case 'ENOENT':
      return 'its folder does not exist; create it, or name the one of your runtime in the configuration';
    case 'EROFS':
      return 'the file system is mounted read-only; mount the folder of the host so that it can be written';
    case 'EACCES':
    case 'EPERM':
      return 'it may not be written; run this as root, and look for an immutable file (lsattr) or SELinux';
    case 'ENOSPC':
      return 'the disk is full; make room';
    default:
      return describeError(error);
  }
}
