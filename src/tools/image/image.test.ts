import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { nativePart } from '../../base/native-part.ts';
import { archiveOf } from './archive.ts';
import { writeBundle } from './bundle.ts';
import { plannedPackages } from './debian-packages.ts';
import { blobPath, documentsOf, type Image, sha256 } from './oci.ts';
import { platformNamed } from './platform.ts';
import { planRoot } from './root.ts';
import { closureOf, neededBy } from './shared-libraries.ts';

const section = (...libraries: string[]) =>
  ['Dynamic section:', ...libraries.map((name) => ` 0x01 (NEEDED)  Shared library: [${name}]`)].join('\n');

const image: Image = {
  reference: 'localhost/fairlead:1.2.3',
  architecture: 'arm64',
  version: '1.2.3',
  created: 1_700_000_000,
  entrypoint: ['/usr/bin/fairlead'],
  layer: { digest: 'sha256:aa', size: 7, diffId: 'sha256:bb' },
};

test('the bundle finds the native parts where the image has them', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-bundle-'));
  try {
    const bundle = join(folder, 'cmd/fairlead/main.mjs');
    writeBundle(join(import.meta.dirname, '../../../cmd/fairlead/main.ts'), bundle);
    mkdirSync(join(folder, 'build'));
    copyFileSync(nativePart('fairlead.node'), join(folder, 'build/fairlead.node'));
    // The addon is loaded before anything is done.
    assert.match(execFileSync(process.execPath, [bundle, 'version'], { encoding: 'utf8' }), /\d+\.\d+\.\d+/);
    const places = readFileSync(bundle, 'utf8').matchAll(/new URL\(["'`]([./]+build\/)/g);
    assert.deepEqual(new Set([...places].map(([, place]) => place)), new Set(['../../build/']));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('libraries are followed to the last one, cycles included, and a missing one is named with who needs it', () => {
  const files: Record<string, string[]> = {
    node: ['a.so'],
    '/a.so': ['b.so', 'c.so'],
    '/b.so': ['a.so'],
    '/c.so': [],
  };
  const read = (file: string) => section(...files[file]!);
  const find = (name: string) => (`/${name}` in files ? `/${name}` : undefined);
  assert.deepEqual([...closureOf(['node'], find, read).keys()].toSorted(), ['a.so', 'b.so', 'c.so']);
  files['/c.so'] = ['d.so'];
  assert.throws(() => closureOf(['node'], find, read), /^Error: \/c\.so needs d\.so, which none/);
  assert.deepEqual(neededBy('There is no dynamic section in this file.'), []);
});

test('the index leads to the manifest, and that to the configuration and the layer', () => {
  const { blobs, index } = documentsOf(image);
  const at = (digest: string) => JSON.parse(blobs.find((blob) => blob.digest === digest)!.text);
  const [entry] = JSON.parse(index).manifests;
  assert.equal(entry.annotations['io.containerd.image.name'], image.reference);
  assert.deepEqual(entry.platform, { architecture: 'arm64', os: 'linux' });
  const manifest = at(entry.digest);
  assert.deepEqual(
    manifest.layers.map(({ digest, size }: { digest: string; size: number }) => [digest, size]),
    [['sha256:aa', 7]],
  );
  const configuration = at(manifest.config.digest);
  assert.deepEqual(configuration.rootfs.diff_ids, ['sha256:bb']);
  assert.equal(configuration.created, '2023-11-14T22:13:20Z');
  for (const { digest, text } of blobs) assert.equal(digest, sha256(text));
  assert.equal(blobPath('sha256:aa'), 'blobs/sha256/aa');
  assert.deepEqual(documentsOf(image), documentsOf({ ...image }));
});

test('equal content gives equal archives, whenever and in whatever order it was written', () => {
  const folders = [
    ['a', 'b'],
    ['b', 'a'],
  ].map((names, index) => {
    const folder = mkdtempSync(join(tmpdir(), 'flt-image-'));
    mkdirSync(join(folder, 'root'), index === 0 ? {} : { mode: 0o700 });
    for (const name of names) writeFileSync(join(folder, 'root', name), name);
    utimesSync(join(folder, 'root/a'), index, index);
    return folder;
  });
  const [one, other] = folders.map((folder) => archiveOf(join(folder, 'root'), 5));
  for (const folder of folders) rmSync(folder, { recursive: true });
  assert.deepEqual(one, other);
});

test('what apt would install, with its versions', () => {
  const said =
    'NOTE: simulation\nInst libc6 (2.36-9 Debian:12.1/stable [arm64])\nInst gcc-12-base:arm64 (12.2 x [arm64])\nConf libc6 (2.36-9 x)\n';
  assert.deepEqual(plannedPackages(said), [
    { name: 'gcc-12-base', version: '12.2' },
    { name: 'libc6', version: '2.36-9' },
  ]);
});

test('every program finds its loader, and nothing is in two places', () => {
  for (const name of ['amd64', 'arm64']) {
    const platform = platformNamed(name)!;
    const entries = planRoot(platform, {
      node: '/node',
      debian: '/debian',
      packages: [{ name: 'nftables', version: '1' }],
      libraries: new Map([[platform.loader.split('/')[1]!, '/debian/loader']]),
      bundle: '/bundle',
      native: '/native',
      nativeParts: ['fairlead.node'],
      licenses: new Map(),
    });
    const paths = entries.map(({ path }) => path);
    assert.deepEqual(paths, [...new Set(paths)]);
    const loader = entries.find(({ path }) => path === `usr/${platform.loader}`)!;
    const library = `usr/lib/${platform.triplet}/${platform.loader.split('/')[1]}`;
    assert.equal('link' in loader && join('usr', platform.loader, '..', loader.link), library);
    assert.ok(paths.includes(library));
    assert.ok(!paths.some((path) => /\/(ba|da)?sh$/.test(path)), 'there is a shell');
  }
});
