/** Assembles the image: Debian packages, the Node.js of package.json, the code as one bundle, the parts in C. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { FairleadError } from '../../base/errors/errors.ts';
import { versionOf } from '../../base/version.ts';
import { writeImage, writeLayer, writeRoot } from './archive.ts';
import { writeBundle } from './bundle.ts';
import { unpackPackages } from './debian-packages.ts';
import { buildNativeParts, NATIVE_PARTS } from './native-parts.ts';
import { nodePackage } from './node-binary.ts';
import type { Platform } from './platform.ts';
import { ENTRYPOINT, planRoot } from './root.ts';
import { closureOf } from './shared-libraries.ts';

/** What these depend on comes along. */
const DEBIAN_PACKAGES = ['nftables', 'libstdc++6'];
/** npm packages whose code is in the bundle. */
const BUNDLED = ['yaml'];

export type BuiltImage = {
  file: string;
  reference: string;
  /** Of the layer, which is all of its content. */
  digest: string;
  /** Bytes of the archive; and of the root file system. */
  size: number;
  unpacked: number;
};

/**
 * @param project the repository. @param folder that is kept from run to run.
 * @param epoch seconds since 1970: every time in the image.
 * @throws FairleadError FL_IMAGE
 */
export function buildImage(platform: Platform, project: string, folder: string, epoch: number): BuiltImage {
  const at = (name: string) => join(folder, name);
  mkdirSync(folder, { recursive: true });
  const debian = at('debian');
  const packages = unpackPackages(DEBIAN_PACKAGES, platform, at('apt'), debian);
  const node = nodePackage(platform, project, folder);
  buildNativeParts(platform, project, at('native'));
  writeBundle(join(project, 'cmd/fairlead/main.ts'), at('main.mjs'));
  const programs = [join(node, 'bin/node'), join(debian, 'usr/sbin/nft')];
  const parts = NATIVE_PARTS.map((name) => join(at('native'), name));
  const entries = planRoot(platform, {
    node,
    debian,
    packages,
    libraries: closureOf([...programs, ...parts], (name) => findLibrary(debian, platform, name), readElf),
    bundle: at('main.mjs'),
    native: at('native'),
    nativeParts: NATIVE_PARTS,
    licenses: new Map([
      ['fairlead', join(project, 'LICENSE')],
      ['node', join(node, 'LICENSE')],
      ...BUNDLED.map((name) => [name, join(project, 'node_modules', name, 'LICENSE')] as const),
    ]),
  });
  writeRoot(entries, at('root'));
  rmSync(at('layout'), { recursive: true, force: true });
  const layer = writeLayer(at('root'), at('layout'), epoch);
  const version = versionOf();
  const reference = `localhost/fairlead:${version}`;
  const file = `${folder}.tar`;
  const image = { reference, architecture: platform.name, version, created: epoch, layer };
  writeImage({ ...image, entrypoint: ENTRYPOINT }, at('layout'), file);
  const unpacked = entries.reduce((sum, entry) => sum + ('file' in entry ? statSync(entry.file).size : 0), 0);
  return { file, reference, digest: layer.digest, size: statSync(file).size, unpacked };
}

/** Where Debian releases keep libraries: those with a merged /usr, and those before. */
function findLibrary(debian: string, { triplet }: Platform, name: string): string | undefined {
  return [`usr/lib/${triplet}`, `lib/${triplet}`]
    .map((folder) => join(debian, folder, name))
    .find((path) => existsSync(path));
}

function readElf(file: string): string {
  try {
    return execFileSync('readelf', ['--dynamic', '--wide', file], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    throw new FairleadError('FL_IMAGE', `readelf does not read ${file}; apt-get install binutils`);
  }
}
