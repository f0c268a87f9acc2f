/** containerd on a node of a lab, with folders and a socket of its own. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { namespacePath } from '../../lab/namespaces.ts';
import { networkConfiguration } from '../../lab/pods.ts';
import type { LabNode, LabPlan } from '../../lab/topology.ts';
import { until } from '../until.ts';
import { type Cri, openCri, type Sandbox } from './cri.ts';
import { buildImage, IMAGE } from './image.ts';
import type { Workplace } from './workplace.ts';

export type Containerd = {
  cri: Cri;
  /** Imports an archive of images. @returns what ctr says of it. */
  load: (archive: string) => string;
  run: (sandbox: Sandbox) => Promise<string>;
  start: () => Promise<void>;
  /** At once, as a crash. Its containers go on. */
  kill: () => Promise<void>;
};

/** The list by which it finds the plugin of a lab's node. */
export function writeNetworkList(plan: LabPlan, node: LabNode, place: Workplace): void {
  const plugin = {
    ...networkConfiguration(plan, node.name),
    capabilities: { portMappings: true, bandwidth: true, 'io.kubernetes.cri.pod-annotations': true },
  };
  writeFileSync(
    join(place.networks, '10-fairlead.conflist'),
    JSON.stringify({ cniVersion: '1.0.0', name: 'fairlead', plugins: [plugin] }),
  );
}

export async function startContainerd(node: LabNode, place: Workplace): Promise<Containerd> {
  const at = (name: string) => join(place.path, name);
  const socket = at('containerd.sock');
  writeFileSync(at('config.toml'), configurationOf(place, socket));
  let process: ChildProcess | undefined;
  const cri = openCri(socket);
  const start = async () => {
    const log = openSync(at('containerd.log'), 'a');
    process = spawn(
      'nsenter',
      [`--net=${namespacePath(node.namespace)}`, '--', 'containerd', '--config', at('config.toml')],
      { stdio: ['ignore', log, log] },
    );
    await until('containerd serves', () => cri.version().then(Boolean, () => false));
  };
  await start();
  const ctr = (...args: string[]) =>
    execFileSync('ctr', ['--address', socket, '--namespace', 'k8s.io', ...args], { encoding: 'utf8' });
  const load = (archive: string) => ctr('images', 'import', '--snapshotter', 'native', archive);
  load(buildImage(place.path));
  return {
    cri,
    load,
    run: (sandbox) => cri.runSandbox({ ...sandbox, cgroup: `/${place.cgroup}` }),
    start,
    kill: async () => {
      if (process === undefined || process.exitCode !== null) return;
      const end = once(process, 'exit');
      process.kill('SIGKILL');
      await end;
    },
  };
}

/**
 * `restrict_oom_score_adj`: without CAP_SYS_RESOURCE it cannot be lowered. The snapshotter that needs no file system of
 * its own. Plugins that look for one are left out.
 */
function configurationOf({ path, plugins, networks }: Workplace, socket: string): string {
  return `version = 2
root = "${path}/root"
state = "${path}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "${socket}"
[ttrpc]
  address = "${socket}.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${IMAGE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = "${path}/runc"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${plugins}"
    conf_dir = "${networks}"
`;
}
