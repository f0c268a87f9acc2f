/** The Node.js of package.json for any processor: the npm package that is installed, or else fetched by npm. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeError, FairleadError } from '../../base/errors/errors.ts';
import type { Platform } from './platform.ts';

type Locked = { version: string; integrity: string };

/** @returns the folder of the package. @throws FairleadError FL_IMAGE */
export function nodePackage({ nodePackage: name }: Platform, project: string, folder: string): string {
  const installed = join(project, 'node_modules', name);
  if (existsSync(join(installed, 'bin/node'))) return installed;
  const lock = JSON.parse(readFileSync(join(project, 'package-lock.json'), 'utf8')) as {
    packages: Readonly<Record<string, Locked>>;
  };
  const locked = lock.packages[`node_modules/${name}`];
  if (locked === undefined) throw new FairleadError('FL_IMAGE', `package-lock.json has no ${name}; add it`);
  const target = join(folder, `${name}-${locked.version}`);
  if (existsSync(join(target, 'bin/node'))) return target;
  mkdirSync(target, { recursive: true });
  try {
    execFileSync('npm', ['pack', '--silent', '--pack-destination', folder, `${name}@${locked.version}`], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  } catch (error) {
    throw new FairleadError(
      'FL_IMAGE',
      `npm does not fetch ${name}@${locked.version}: ${describeError(error)}`,
    );
  }
  const archive = join(folder, `${name}-${locked.version}.tgz`);
  const integrity = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
  if (integrity !== locked.integrity) {
    throw new FairleadError(
      'FL_IMAGE',
      `${archive} has the digest ${integrity}, and package-lock.json says ${locked.integrity}; delete it, and ask who changed it`,
    );
  }
  execFileSync('tar', ['-xzf', archive, '--strip-components=1', '-C', target]);
  return target;
}
