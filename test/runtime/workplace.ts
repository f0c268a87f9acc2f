/** A folder for one container runtime, and the end of all that the runtime leaves behind; after a crash by the next run. */
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PLUGIN } from '../../lab/processes.ts';
import { until } from '../until.ts';
import {
  deleteNotedNamespaces,
  killAll,
  namespaceNotes,
  notedNamespaces,
  processesOf,
  removeCgroups,
  removeFolder,
  removeResults,
  removeShimSockets,
  unmountAll,
} from './leftovers.ts';

const FOLDER = '/run';
const PREFIX = 'fairlead-runtime-';

export type Workplace = {
  path: string;
  /** The folder of plugins: our own, and `loopback`, which runtimes call beside it. */
  plugins: string;
  /** The folder of network lists. */
  networks: string;
  /** A program that is runc with a state of its own: its usual folder is the machine's. */
  runc: string;
  /** Below the root of every hierarchy. */
  cgroup: string;
  /** Names of the namespaces for which podman called the plugin, the last one last. */
  namespaces: () => string[];
  clear: () => Promise<void>;
};

export async function openWorkplace(runtime: string): Promise<Workplace> {
  for (const left of readdirSync(FOLDER).filter((entry) => entry.startsWith(PREFIX))) {
    const pid = /^\d+/.exec(left.slice(PREFIX.length))?.[0];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) await clear(left);
  }
  const name = `${PREFIX}${process.pid}-${runtime}`;
  const path = join(FOLDER, name);
  const plugins = join(path, 'plugins');
  const networks = join(path, 'networks');
  mkdirSync(plugins, { recursive: true });
  mkdirSync(networks);
  symlinkSync(PLUGIN, join(plugins, 'fairlead-cni'));
  symlinkSync('/usr/lib/cni/loopback', join(plugins, 'loopback'));
  const runc = join(path, 'runc.sh');
  writeScript(runc, `exec runc --root ${path}/runc "$@"`);
  return {
    path,
    plugins,
    networks,
    runc,
    cgroup: name,
    namespaces: () => notedNamespaces(path),
    clear: () => clear(name),
  };
}

/** For runtimes that put namespaces where others do: the plugin is called by a script that notes them. */
export function noteNamespaces({ path, plugins }: Workplace): void {
  const script = join(plugins, 'fairlead-cni');
  rmSync(script);
  writeScript(script, `[ -z "$CNI_NETNS" ] || echo "$CNI_NETNS" >> ${namespaceNotes(path)}\nexec ${PLUGIN}`);
}

function writeScript(path: string, body: string): void {
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
}

/** Two processes may do this at once: what is gone already is fine. */
async function clear(name: string): Promise<void> {
  const path = join(FOLDER, name);
  await until(`processes of ${path} are gone`, () => {
    killAll(processesOf(path, name));
    return processesOf(path, name).length === 0;
  });
  removeShimSockets(path);
  removeResults(path);
  unmountAll(path);
  deleteNotedNamespaces(path);
  await removeCgroups(name);
  removeFolder(path);
}
