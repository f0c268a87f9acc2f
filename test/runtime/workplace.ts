/**
 * A folder for one container runtime with all that it leaves behind, and its end: processes, mounts, control groups
 * and the folder itself; after a crash by the next run.
 */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PLUGIN } from '../../src/lab/processes.ts';
import { until } from '../until.ts';

const PREFIX = '/run/fairlead-runtime-';
/** The namespaces that were there before. */
const NAMESPACES = 'namespaces.json';
const CGROUPS = '/sys/fs/cgroup';

export type Workplace = { path: string; plugins: string; cgroup: string; clear: () => Promise<void> };

export async function openWorkplace(name: string): Promise<Workplace> {
  for (const left of readdirSync('/run').filter((entry) => entry.startsWith('fairlead-runtime-'))) {
    const pid = /^fairlead-runtime-(\d+)-/.exec(left)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) await clear(`/run/${left}`, left);
  }
  const path = `${PREFIX}${process.pid}-${name}`;
  const present = namespaces();
  const plugins = join(path, 'plugins');
  mkdirSync(plugins, { recursive: true });
  writeFileSync(join(path, NAMESPACES), JSON.stringify(present));
  symlinkSync(PLUGIN, join(plugins, 'fairlead-cni'));
  // What runtimes call beside the network's own plugin.
  symlinkSync('/usr/lib/cni/loopback', join(plugins, 'loopback'));
  const cgroup = path.slice('/run/'.length);
  return { path, plugins, cgroup, clear: () => clear(path, cgroup) };
}

/** Why this machine cannot run it; undefined where it can. */
export function missing(...programs: readonly string[]): string | undefined {
  const absent = programs.filter(
    (program) =>
      !['/usr/bin', '/usr/sbin', '/usr/lib/cni'].some((folder) => existsSync(join(folder, program))),
  );
  if (absent.length > 0) return `not installed: ${absent.join(', ')} (npm run setup installs them on Debian)`;
  if (!readFileSync('/proc/mounts', 'utf8').includes(' cgroup')) return 'no control groups are mounted here';
  return undefined;
}

async function clear(path: string, cgroup: string): Promise<void> {
  const processes = () => [...processesUnder(path), ...processesIn(cgroup)];
  await until(`processes of ${path} are gone`, () => {
    for (const pid of processes()) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
    }
    return processes().length === 0;
  });
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .flatMap((line) => line.split(' ')[1] ?? [])
    .filter((point) => point.startsWith(`${path}/`));
  for (const point of mounts.toReversed()) execFileSync('umount', ['-l', point]);
  const record = join(path, NAMESPACES);
  const present = new Set(
    existsSync(record) ? (JSON.parse(readFileSync(record, 'utf8')) as string[]) : namespaces(),
  );
  for (const name of namespaces().filter((entry) => !present.has(entry))) {
    execFileSync('ip', ['netns', 'delete', name]);
  }
  for (const folder of cgroupFolders(cgroup)) await removeTree(folder);
  rmSync(path, { recursive: true, force: true });
}

/** Those that podman makes: it has no folder of its own for them. */
function namespaces(): string[] {
  const folder = '/run/netns';
  return existsSync(folder) ? readdirSync(folder).filter((name) => /^netns-[0-9a-f-]{36}$/.test(name)) : [];
}

/** Programs that were started with a path below it, the shims of containers among them. */
function processesUnder(path: string): number[] {
  return pids().filter((pid) => {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      return line.includes(`${path}/`) && readlinkSync(`/proc/${pid}/exe`) !== process.execPath;
    } catch {
      return false;
    }
  });
}

function processesIn(cgroup: string): number[] {
  return pids().filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(`/${cgroup}`);
    } catch {
      return false;
    }
  });
}

function pids(): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => pid !== process.pid);
}

/** One per controller with version 1, one alone with version 2. */
function cgroupFolders(cgroup: string): string[] {
  return [CGROUPS, ...readdirSync(CGROUPS).map((entry) => join(CGROUPS, entry))]
    .map((folder) => join(folder, cgroup))
    .filter((folder) => existsSync(folder));
}

async function removeTree(folder: string): Promise<void> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await removeTree(join(folder, entry.name));
  }
  for (let attempt = 0; ; attempt++) {
    try {
      return rmdirSync(folder);
    } catch (error) {
      // The kernel takes a moment to count the dead out.
      if (attempt === 50) throw error;
      await sleep(20);
    }
  }
}
