/** What lies where in the root file system of the image: the plan, before a file is touched. */
import type { DebianPackage } from './debian-packages.ts';
import type { Platform } from './platform.ts';

export type Entry = { path: string } & (
  | { file: string; executable?: true }
  | { text: string }
  | { link: string }
  | { folder: true }
);

export type Sources = {
  /** The npm package of Node.js. */
  node: string;
  /** Where Debian's packages are unpacked. */
  debian: string;
  packages: readonly DebianPackage[];
  /** Files by the name of the library. */
  libraries: ReadonlyMap<string, string>;
  bundle: string;
  /** The parts in C. */
  native: string;
  nativeParts: readonly string[];
  /** The license of Fairlead, and those of the npm packages in the bundle, by their names. */
  licenses: ReadonlyMap<string, string>;
};

/** As bin/fairlead starts it: the young generation stays small, and code too. */
export const ENTRYPOINT = [
  '/usr/bin/node',
  '--max-semi-space-size=1',
  '--optimize-for-size',
  '/usr/bin/fairlead',
];
const HOME = 'usr/lib/fairlead';
const DOCUMENTS = 'usr/share/doc';

/** What the runtime mounts over, and what hosts share: there even where the root cannot be written. */
const FOLDERS = ['dev', 'etc/fairlead', 'proc', 'run', 'sys', 'tmp', 'var/lib/fairlead', 'opt/cni/bin'];

const PASSWD = 'root:x:0:0:root:/:/usr/bin/fairlead\n';
const NSSWITCH = 'passwd: files\ngroup: files\nhosts: files dns\n';

export function planRoot(platform: Platform, sources: Sources): Entry[] {
  const { node, debian, packages, libraries, bundle, native, nativeParts, licenses } = sources;
  const libraryFolder = `usr/lib/${platform.triplet}`;
  const [loaderFolder = '', loader = ''] = platform.loader.split('/');
  return [
    ...FOLDERS.map((path): Entry => ({ path, folder: true })),
    { path: 'etc/passwd', text: PASSWD },
    { path: 'etc/group', text: 'root:x:0:\n' },
    { path: 'etc/nsswitch.conf', text: NSSWITCH },
    { path: 'bin', link: 'usr/bin' },
    // Runtimes name network namespaces by the older path.
    { path: 'var/run', link: '/run' },
    { path: 'sbin', link: 'usr/sbin' },
    { path: 'lib', link: 'usr/lib' },
    ...(loaderFolder === 'lib' ? [] : [{ path: loaderFolder, link: `usr/${loaderFolder}` }]),
    { path: `usr/${platform.loader}`, link: `../lib/${platform.triplet}/${loader}` },
    ...[...libraries].map(
      ([name, file]): Entry => ({ path: `${libraryFolder}/${name}`, file, executable: true }),
    ),
    { path: 'usr/sbin/nft', file: `${debian}/usr/sbin/nft`, executable: true },
    { path: 'usr/bin/node', file: `${node}/bin/node`, executable: true },
    // As in the repository, so that what is loaded beside the code is found in the same way.
    { path: `${HOME}/cmd/fairlead/main.mjs`, file: bundle, executable: true },
    { path: 'usr/bin/fairlead', link: '../lib/fairlead/cmd/fairlead/main.mjs' },
    ...nativeParts.map(
      (name): Entry => ({ path: `${HOME}/build/${name}`, file: `${native}/${name}`, executable: true }),
    ),
    {
      path: `${DOCUMENTS}/fairlead/packages`,
      text: packages.map(({ name, version }) => `${name} ${version}\n`).join(''),
    },
    ...packages.map(
      ({ name }): Entry => ({
        path: `${DOCUMENTS}/${name}/copyright`,
        file: `${debian}/usr/share/doc/${name}/copyright`,
      }),
    ),
    ...[...licenses].map(([name, file]): Entry => ({ path: `${DOCUMENTS}/${name}/LICENSE`, file })),
  ];
}
