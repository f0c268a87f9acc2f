/**
 * Debian packages of any processor, unpacked into a folder: apt works in folders of its own, so that the machine's own
 * packages, lists and settings stay as they are. Its sources and keys are the machine's.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeError, FairleadError } from '../../base/errors/errors.ts';
import type { Platform } from './platform.ts';

export type DebianPackage = { name: string; version: string };

/**
 * @param folder that is kept from run to run: what was downloaded once is not again.
 * @returns the packages with all that they depend on, by name.
 * @throws FairleadError FL_IMAGE with what apt said.
 */
export function unpackPackages(
  names: readonly string[],
  platform: Platform,
  folder: string,
  root: string,
): DebianPackage[] {
  const at = (name: string) => join(folder, name);
  for (const name of ['state/lists/partial', 'cache/archives/partial'])
    mkdirSync(at(name), { recursive: true });
  writeFileSync(at('status'), '');
  writeFileSync(
    at('apt.conf'),
    [
      `Dir::State "${at('state')}";`,
      `Dir::State::status "${at('status')}";`,
      `Dir::Cache "${at('cache')}";`,
      `APT::Architecture "${platform.name}";`,
      '#clear APT::Architectures;',
      `APT::Architectures { "${platform.name}"; };`,
      'APT::Install-Recommends "false";',
      'APT::Sandbox::User "root";',
      // Hooks of the machine's own apt have no business here.
      '#clear APT::Update::Post-Invoke-Success;',
      '#clear DPkg::Post-Invoke;',
      '',
    ].join('\n'),
  );
  const apt = (...args: string[]) =>
    run('apt-get', ['-q', '-y', ...args], { ...process.env, APT_CONFIG: at('apt.conf') });
  apt('update');
  const plan = plannedPackages(apt('install', '--simulate', ...names));
  apt('install', '--download-only', ...names);
  rmSync(root, { recursive: true, force: true });
  mkdirSync(root, { recursive: true });
  const archives = readdirSync(at('cache/archives'));
  for (const wanted of plan) {
    const file = archives.find((candidate) => candidate.startsWith(archivePrefix(wanted)));
    if (file === undefined) throw new FairleadError('FL_IMAGE', `apt-get did not download ${wanted.name}`);
    run('dpkg-deb', ['--extract', join(at('cache/archives'), file), root], process.env);
  }
  return plan;
}

/** From what `apt-get --simulate install` prints, by name. */
export function plannedPackages(simulation: string): DebianPackage[] {
  return [...simulation.matchAll(/^Inst (\S+) \((\S+) /gm)]
    .map(([, name, version]) => ({ name: name!.replace(/:.*/, ''), version: version! }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** apt writes the colon of an epoch so. */
function archivePrefix({ name, version }: DebianPackage): string {
  return `${name}_${version.replaceAll(':', '%3a')}_`;
}

function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv): string {
  try {
    return execFileSync(program, args, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const said = ((error as { stderr?: string }).stderr ?? '').trim() || describeError(error);
    throw new FairleadError('FL_IMAGE', `${program} ${args.slice(0, 4).join(' ')}: ${said}`);
  }
}
