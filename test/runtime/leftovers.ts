/** What runtimes leave outside the folders that they were given, each found by what names its owner. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const CGROUPS = '/sys/fs/cgroup';
/** Where libcni keeps the results of ADD until DEL; neither containerd 1.6 nor podman 4 can be told another place. */
export const RESULTS = '/var/lib/cni/results';

/** Programs that were started with a path below the folder, shims among them, and whatever is in the control group. */
export function processesOf(path: string, cgroup: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .map(Number)
    .filter(
      (pid) =>
        (textOf(`/proc/${pid}/cmdline`).includes(`${path}/`) && !isNode(pid)) ||
        textOf(`/proc/${pid}/cgroup`).includes(`/${cgroup}`),
    );
}

export function killAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
}

/** containerd's shims listen in a folder of the machine's; each container's folder names its socket. */
export function removeShimSockets(path: string): void {
  const containers = join(path, 'state/io.containerd.runtime.v2.task/k8s.io');
  for (const container of namesIn(containers)) {
    const address = textOf(join(containers, container, 'address'));
    if (address.startsWith('unix:///')) rmSync(address.slice('unix://'.length), { force: true });
  }
}

/** Of pods whose namespaces lie below the folder, or in podman's with a note in it. */
export function removeResults(path: string): void {
  const marks = [`${path}/`, ...notedNamespaces(path).map((name) => `"${NAMESPACES}/${name}"`)];
  for (const file of namesIn(RESULTS).map((name) => join(RESULTS, name))) {
    const text = textOf(file);
    if (marks.some((mark) => text.includes(mark))) rmSync(file, { force: true });
  }
}

/** Where podman puts namespaces; it has no folder of its own for them. */
const NAMESPACES = '/run/netns';

/** The file where a workplace notes the namespaces for which the plugin was called, by path, one a line. */
export function namespaceNotes(path: string): string {
  return join(path, 'namespaces');
}

/** Their names, in the order of their first notes; only such as podman gives. */
export function notedNamespaces(path: string): string[] {
  const noted = textOf(namespaceNotes(path)).matchAll(/^\/run\/netns\/(netns-[0-9a-f-]{36})$/gm);
  return [...new Set(Array.from(noted, ([, name]) => name!))];
}

export function unmountAll(path: string): void {
  for (const point of mountsBelow(path).toReversed()) {
    try {
      execFileSync('umount', ['-l', point], { stdio: 'ignore' });
    } catch (error) {
      if (mountsBelow(path).includes(point)) throw error;
    }
  }
}

export function mountsBelow(path: string): string[] {
  return textOf('/proc/mounts')
    .split('\n')
    .flatMap((line) => line.split(' ')[1] ?? [])
    .filter((point) => point.startsWith(`${path}/`));
}

export function deleteNotedNamespaces(path: string): void {
  const present = (name: string) => existsSync(join(NAMESPACES, name));
  for (const name of notedNamespaces(path).filter(present)) {
    try {
      execFileSync('ip', ['netns', 'delete', name], { stdio: 'ignore' });
    } catch (error) {
      if (present(name)) throw error;
    }
  }
}

export function removeFolder(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch (error) {
    if (existsSync(path)) throw error;
  }
}

export async function removeCgroups(name: string): Promise<void> {
  for (const folder of cgroupsOf(name)) await removeTree(folder);
}

/** One per controller with version 1, one alone with version 2. */
export function cgroupsOf(name: string): string[] {
  return [CGROUPS, ...readdirSync(CGROUPS).map((entry) => join(CGROUPS, entry))]
    .map((folder) => join(folder, name))
    .filter((folder) => existsSync(folder));
}

async function removeTree(folder: string): Promise<void> {
  for (const name of namesIn(folder)) {
    const entry = join(folder, name);
    if (statSync(entry, { throwIfNoEntry: false })?.isDirectory() === true) await removeTree(entry);
  }
  for (let attempt = 0; ; attempt++) {
    try {
      return rmdirSync(folder);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      // The kernel takes a moment to count the dead out.
      if (attempt === 50) throw error;
      await sleep(20);
    }
  }
}

function isNode(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/exe`) === process.execPath;
  } catch {
    return false;
  }
}

/** None where it is gone. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Nothing where it is gone. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
