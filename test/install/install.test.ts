/** `fairlead install` on real folders: whole files or none, whatever happens. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { PLUGIN } from '../../lab/processes.ts';
import { parseConfiguration } from '../../src/base/config/parse.ts';
import { install, installedFiles, uninstallFromRuntime } from '../../src/edge/runtime/install.ts';
import { fairlead } from '../lab/fixture.ts';

const folders: string[] = [];
after(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

function host() {
  const folder = mkdtempSync(join(tmpdir(), 'flt-install-'));
  folders.push(folder);
  const at = (name: string) => join(folder, name);
  mkdirSync(at('bin'));
  mkdirSync(at('net.d'));
  const text = `cni: { binDirectory: ${at('bin')}, confDirectory: ${at('net.d')} }
host: { systemdDirectory: ${at('systemd')}, networkManagerDirectory: ${at('nm')} }
`;
  writeFileSync(at('fairlead.yaml'), text);
  const configuration = parseConfiguration(text, 'fairlead.yaml');
  const lines: string[] = [];
  return {
    at,
    configuration,
    lines,
    run: (plugin: string = PLUGIN) => install(configuration, plugin, (line) => void lines.push(line)),
  };
}

test('the command installs the plugin and the settings, and a second run finds all as it should be', async () => {
  const { at } = host();
  const first = await fairlead('install', '--config', at('fairlead.yaml'));
  assert.equal(first.status, 0, first.stderr);
  assert.match(
    first.stdout,
    /installed .*\/bin\/fairlead-cni\nwrote .*\/networkd\.conf\.d\/50-fairlead\.conf/,
  );
  assert.deepEqual(readFileSync(at('bin/fairlead-cni')), readFileSync(PLUGIN));
  assert.equal(statSync(at('bin/fairlead-cni')).mode & 0o7777, 0o755);
  const before = statSync(at('bin/fairlead-cni')).ino;
  const second = await fairlead('install', '--config', at('fairlead.yaml'));
  assert.deepEqual([second.status, second.stdout], [0, '']);
  assert.equal(statSync(at('bin/fairlead-cni')).ino, before);
});

test('a plugin that runs keeps its own file while the next version takes its place', async () => {
  const { at, run } = host();
  writeFileSync(at('bin/fairlead-cni'), readFileSync('/bin/sleep'));
  chmodSync(at('bin/fairlead-cni'), 0o755);
  const running = spawn(at('bin/fairlead-cni'), ['1000'], { stdio: 'ignore' });
  await once(running, 'spawn');
  run();
  assert.equal(running.exitCode, null);
  assert.deepEqual(readFileSync(`/proc/${running.pid}/exe`), readFileSync('/bin/sleep'));
  assert.deepEqual(readFileSync(at('bin/fairlead-cni')), readFileSync(PLUGIN));
  running.kill('SIGKILL');
});

test('killed between write and rename: the old plugin stays whole, and the next run succeeds', () => {
  const { at, run } = host();
  writeFileSync(at('bin/fairlead-cni'), 'old');
  const script = `
    import { writeAtomically } from ${JSON.stringify(join(import.meta.dirname, '../../src/base/files/atomic-file.ts'))};
    writeAtomically(${JSON.stringify(at('bin/fairlead-cni'))}, 'new', 0o755, () => process.kill(process.pid, 'SIGKILL'));`;
  const { signal } = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', script]);
  assert.equal(signal, 'SIGKILL');
  assert.equal(readFileSync(at('bin/fairlead-cni'), 'utf8'), 'old');
  assert.deepEqual(readdirSync(at('bin')), ['fairlead-cni', 'fairlead-cni.new']);
  run();
  assert.deepEqual(readFileSync(at('bin/fairlead-cni')), readFileSync(PLUGIN));
  assert.deepEqual(readdirSync(at('bin')), ['fairlead-cni']);
});

test('a plugin that does not run here replaces none that does', () => {
  const { at, run } = host();
  run();
  for (const text of ['\x7fELF of another processor', '#!/bin/sh\necho hello\n', '#!/nowhere\n']) {
    writeFileSync(at('other'), text);
    assert.throws(
      () => run(at('other')),
      /bin\/fairlead-cni: the new one does not run on this machine: .*; take the image for/s,
    );
  }
  assert.deepEqual(readFileSync(at('bin/fairlead-cni')), readFileSync(PLUGIN));
  assert.deepEqual(readdirSync(at('bin')), ['fairlead-cni']);
});

test('a folder that is missing or read-only is named with the cure', async () => {
  const missing = host();
  rmSync(missing.at('bin'), { recursive: true });
  assert.throws(
    missing.run,
    /bin\/fairlead-cni: its folder does not exist; create it, or name the one of your runtime/,
  );
  const readOnly = host();
  const mounts = `mount --bind ${readOnly.at('bin')} ${readOnly.at('bin')} && mount -o remount,bind,ro ${readOnly.at('bin')}`;
  const command = `${mounts} && exec "$0" bin/fairlead install --config ${readOnly.at('fairlead.yaml')}`;
  const { status, stderr } = spawnSync('unshare', ['--mount', 'sh', '-c', command, 'sh'], {
    encoding: 'utf8',
  });
  assert.equal(status, 1);
  assert.match(
    stderr,
    /bin\/fairlead-cni: the file system is mounted read-only; mount the folder of the host/,
  );
  assert.deepEqual(readdirSync(readOnly.at('bin')), []);
});

test('list and plugin are taken away, the list of somebody else is not', () => {
  const { at, run, configuration } = host();
  run();
  const list = at('net.d/10-fairlead.conflist');
  writeFileSync(list, '{"plugins":[{"type":"bridge"}]}');
  assert.ok(!installedFiles(configuration).includes(list));
  writeFileSync(list, '{"plugins":[{"type":"fairlead-cni"}]}');
  assert.equal(installedFiles(configuration).length, 5);
  assert.deepEqual(uninstallFromRuntime(configuration.cni), [list, at('bin/fairlead-cni')]);
  assert.deepEqual(uninstallFromRuntime(configuration.cni), []);
  assert.ok(existsSync(at('systemd/networkd.conf.d/50-fairlead.conf')), 'the host keeps its settings');
});
