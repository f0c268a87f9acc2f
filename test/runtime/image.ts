/** A container image made offline: the static busybox alone, as an archive that containerd and podman load. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { namespacePath, run } from '../../lab/namespaces.ts';

export const IMAGE = 'localhost/fairlead-test:1';
/** What `httpd -f -h /www` serves. */
export const PAGE = 'a page of the pod\n';
/**
 * For `sh -c`, with address and port behind it: asks for the page. (The static busybox cannot look up names, and its
 * wget tries to even for addresses.)
 */
export const FETCH = 'printf "GET / HTTP/1.0\\r\\n\\r\\n" | /bin/busybox nc -w 2 "$0" "$1"';
export const BUSYBOX = '/usr/bin/busybox';
const COMMANDS = ['sh', 'sleep', 'ip', 'nc', 'httpd', 'cat', 'printf'];

/** @returns the path of the archive (docker image specification v1.2). */
export function buildImage(directory: string): string {
  const root = join(directory, 'rootfs');
  mkdirSync(join(root, 'bin'), { recursive: true });
  copyFileSync(BUSYBOX, join(root, 'bin', 'busybox'));
  for (const command of COMMANDS) symlinkSync('busybox', join(root, 'bin', command));
  for (const folder of ['proc', 'sys', 'dev', 'etc', 'tmp', 'www']) mkdirSync(join(root, folder));
  writeFileSync(join(root, 'www', 'index.html'), PAGE);
  const image = join(directory, 'image');
  mkdirSync(image);
  const layer = join(image, 'layer.tar');
  execFileSync('tar', ['--owner=0', '--group=0', '-C', root, '-cf', layer, '.']);
  const configuration = JSON.stringify({
    architecture: { x64: 'amd64', arm64: 'arm64' }[process.arch as 'x64' | 'arm64'],
    os: 'linux',
    config: { Cmd: ['/bin/sleep', '100000'] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${digest(readFileSync(layer))}`] },
  });
  const name = `${digest(configuration)}.json`;
  writeFileSync(join(image, name), configuration);
  writeFileSync(
    join(image, 'manifest.json'),
    JSON.stringify([{ Config: name, RepoTags: [IMAGE], Layers: ['layer.tar'] }]),
  );
  const archive = join(directory, 'image.tar');
  execFileSync('tar', ['-C', image, '-cf', archive, '.']);
  return archive;
}

function digest(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

/** What `httpd` at this address and port serves, asked from a namespace; nothing without an answer. */
export async function fetchPage(namespace: string, address: string, port: number): Promise<string> {
  const shell = ['sh', '-c', FETCH, address, String(port)];
  return run('nsenter', [`--net=${namespacePath(namespace)}`, ...shell]).catch(() => '');
}
