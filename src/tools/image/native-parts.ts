/** The parts in C, built for the image: without debug information, whose paths would differ from folder to folder. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { FairleadError } from '../../base/errors/errors.ts';
import { type Platform, platformOf } from './platform.ts';

export const NATIVE_PARTS = ['fairlead.node', 'fairlead-cni', 'fairlead-probe'] as const;

/** @param folder where they are put. @throws FairleadError FL_IMAGE */
export function buildNativeParts(platform: Platform, project: string, folder: string): void {
  mkdirSync(folder, { recursive: true });
  const cross = platform === platformOf(process.arch) ? [] : crossOptions(platform);
  const products = NATIVE_PARTS.map((name) => join(folder, name));
  try {
    execFileSync(
      'make',
      ['-s', '-B', '-C', join(project, 'native'), `BUILD=${folder}`, 'CFLAGS=-O2 -s', ...cross, ...products],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
  } catch (error) {
    const said = String((error as { stderr?: Buffer }).stderr)
      .trim()
      .split('\n')
      .at(0);
    throw new FairleadError(
      'FL_IMAGE',
      `the native parts for ${platform.name} do not build: ${said}; apt-get install ${packagesFor(platform)}`,
    );
  }
}

/** Debian has no musl to cross-compile with: the plugin is linked with glibc, 0.7 MB in place of 0.05. */
function crossOptions({ triplet }: Platform): string[] {
  const compiler = `${triplet}-gcc`;
  return [`CC=${compiler}`, `STATIC_CC=${compiler}`, 'CNI_LINK=-static'];
}

function packagesFor(platform: Platform): string {
  if (platform === platformOf(process.arch)) return 'gcc libc6-dev make musl-tools';
  return `gcc-${platform.triplet.replace('_', '-')} libc6-dev-${platform.name}-cross`;
}
