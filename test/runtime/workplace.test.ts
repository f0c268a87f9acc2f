/** A test of a runtime that is killed in its midst leaves nothing beyond the next one. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { startLab } from '../lab/fixture.ts';
import { until } from '../until.ts';
import { cannotRun } from './host.ts';
import { openWorkplace } from './workplace.ts';

type Left = {
  places: { path: string; cgroup: string }[];
  /** Ids of sandboxes and containers. */
  containers: string[];
  namespaces: string[];
};

const reason = await cannotRun('containerd', 'ctr', 'podman', 'conmon', 'runc', 'busybox', 'loopback');

void test('what a killed test leaves of two runtimes is gone with the next', {
  skip: reason ?? false,
}, async () => {
  const plan = await startLab({ nodes: 1, pods: 0 });
  const child = spawn(process.execPath, [join(import.meta.dirname, 'leave.ts'), plan.options.name], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  after(() => child.kill('SIGKILL'));
  const end = once(child, 'exit');
  const [line] = (await Promise.race([once(createInterface(child.stdout), 'line'), end])) as [unknown];
  assert.ok(typeof line === 'string', 'the process that starts containers has ended');
  const left = JSON.parse(line) as Left;
  const sockets = shimSockets(left);
  const traces = () => ({
    processes: grep(
      '/proc/[0-9]*/cgroup',
      left.places.map(({ cgroup }) => `/${cgroup}`),
    ),
    mounts: grep(
      '/proc/mounts',
      left.places.map(({ path }) => path),
    ),
    cgroups: left.places.flatMap(({ cgroup }) => find('/sys/fs/cgroup', cgroup)),
    results: left.containers.flatMap((id) => find('/var/lib/cni', `*-${id}-*`)),
    namespaces: left.namespaces.filter((name) => existsSync(`/run/netns/${name}`)),
    sockets: sockets.filter((path) => existsSync(path)),
    states: left.containers.flatMap((id) => [...find('/run/runc', id), ...find('/run/containerd', id)]),
    folders: left.places.map(({ path }) => path).filter((path) => existsSync(path)),
  });
  // While it lives nothing is cleaned up.
  const { states, ...others } = traces();
  assert.deepEqual(states, [], 'runtimes keep their state in their own folders');
  for (const [kind, found] of Object.entries(others))
    assert.notEqual(found.length, 0, `no ${kind} to clean up`);
  child.kill('SIGKILL');
  await end;
  // The next test of a runtime begins so.
  await (await openWorkplace('next')).clear();
  // Another test may have begun with it a moment before.
  await until('all of it is gone', () => Object.values(traces()).every((found) => found.length === 0));
});

function shimSockets({ places: [place] }: Left): string[] {
  const folder = join(place!.path, 'state/io.containerd.runtime.v2.task/k8s.io');
  return readdirSync(folder).map((id) =>
    readFileSync(join(folder, id, 'address'), 'utf8').slice('unix://'.length),
  );
}

function grep(files: string, texts: readonly string[]): string[] {
  const patterns = texts.map((text) => `-e ${text}`).join(' ');
  return lines(`grep -hF ${patterns} ${files} 2>/dev/null || true`);
}

function find(folder: string, name: string): string[] {
  return lines(`find ${folder} -name '${name}' 2>/dev/null || true`);
}

function lines(script: string): string[] {
  return execFileSync('sh', ['-c', script], { encoding: 'utf8' }).split('\n').filter(Boolean);
}
