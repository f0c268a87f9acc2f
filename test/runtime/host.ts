/** Whether this machine can run containers at all, and what it says if not. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUSYBOX } from './image.ts';
import { openWorkplace, type Workplace } from './workplace.ts';

const FOLDERS = ['/usr/bin', '/usr/sbin', '/usr/lib/cni'];

/**
 * Why it cannot, for the skip line; undefined where it can: the programs are there, and runc has run a container.
 * @throws Error in place of a reason where `FAIRLEAD_REQUIRE_RUNTIMES` is 1, as on machines that prove releases.
 */
export async function cannotRun(...programs: readonly string[]): Promise<string | undefined> {
  const reason = lacking(programs) ?? (await refusal());
  if (reason !== undefined && process.env['FAIRLEAD_REQUIRE_RUNTIMES'] === '1') throw new Error(reason);
  return reason;
}

function lacking(programs: readonly string[]): string | undefined {
  if (process.getuid?.() !== 0) return 'containers need root here; run the tests as root';
  const absent = programs.filter((program) => !FOLDERS.some((folder) => existsSync(join(folder, program))));
  if (absent.length === 0) return undefined;
  return `not installed: ${absent.join(', ')} (npm run setup installs them on Debian)`;
}

/** Of a container by runc alone, before a runtime or a network has a part in it. */
async function refusal(): Promise<string | undefined> {
  const place = await openWorkplace('probe');
  try {
    writeBundle(place);
    execFileSync(place.runc, ['run', '--bundle', place.path, place.cgroup], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return undefined;
  } catch (error) {
    const last = String((error as { stderr?: Buffer }).stderr ?? error)
      .trim()
      .split('\n')
      .at(-1)!;
    return `runc runs no container on this machine: ${/ msg="(.*)"$/.exec(last)?.[1] ?? last}`;
  } finally {
    await place.clear();
  }
}

/** One that ends at once (OCI runtime specification, "Linux Container Configuration"). */
function writeBundle({ path, cgroup }: Workplace): void {
  mkdirSync(join(path, 'rootfs', 'proc'), { recursive: true });
  copyFileSync(BUSYBOX, join(path, 'rootfs', 'true'));
  const namespaces = ['pid', 'network', 'ipc', 'uts', 'mount'].map((type) => ({ type }));
  const configuration = {
    ociVersion: '1.0.2',
    process: { user: { uid: 0, gid: 0 }, args: ['/true'], cwd: '/' },
    root: { path: 'rootfs' },
    mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }],
    linux: { cgroupsPath: `/${cgroup}/probe`, namespaces },
  };
  writeFileSync(join(path, 'config.json'), JSON.stringify(configuration));
}
