/** Folders as tar archives, of which equal content gives equal bytes; and the archive of an image. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { blobPath, documentsOf, type Image, LAYOUT, type Layer, sha256 } from './oci.ts';
import type { Entry } from './root.ts';

/** Makes the folder hold these entries alone, whatever the umask. */
export function writeRoot(entries: readonly Entry[], root: string): void {
  rmSync(root, { recursive: true, force: true });
  for (const entry of entries) {
    const path = join(root, entry.path);
    mkdirSync('folder' in entry ? path : dirname(path), { recursive: true });
    if ('link' in entry) symlinkSync(entry.link, path);
    if ('text' in entry) writeFileSync(path, entry.text);
    if ('file' in entry) copyFileSync(entry.file, path);
    if ('text' in entry || 'file' in entry) chmodSync(path, 'executable' in entry ? 0o755 : 0o644);
  }
}

/** @returns the archive of what the folder holds. @param epoch seconds since 1970 that every entry carries. */
export function archiveOf(folder: string, epoch: number): Buffer {
  const file = `${folder}.tar`;
  const reproducible = [
    '--format=ustar',
    '--sort=name',
    `--mtime=@${epoch}`,
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    // The umask decided on folders, the writer on files; links have no mode of their own.
    '--mode=u=rwX,go=rX',
  ];
  execFileSync('tar', [...reproducible, '-C', folder, '-cf', file, '.']);
  const archive = readFileSync(file);
  rmSync(file);
  return archive;
}

/** Writes the layer into the layout. */
export function writeLayer(root: string, layout: string, epoch: number): Layer {
  const archive = archiveOf(root, epoch);
  // zlib writes neither a time nor a name; which zlib it is, package.json decides.
  const compressed = gzipSync(archive, { level: 6 });
  const layer = { digest: sha256(compressed), size: compressed.length, diffId: sha256(archive) };
  writeBlob(layout, layer.digest, compressed);
  return layer;
}

/** Writes the image with its layout into one archive, by rename. */
export function writeImage(image: Image, layout: string, file: string): void {
  const { blobs, index } = documentsOf(image);
  for (const { digest, text } of blobs) writeBlob(layout, digest, text);
  writeFileSync(join(layout, 'oci-layout'), LAYOUT);
  writeFileSync(join(layout, 'index.json'), index);
  writeFileSync(`${file}.new`, archiveOf(layout, image.created));
  renameSync(`${file}.new`, file);
}

function writeBlob(layout: string, digest: string, content: string | Buffer): void {
  const path = join(layout, blobPath(digest));
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}
