/** podman on a node of a lab, with folders of its own and CNI as its network backend. */
import { type ChildProcess, execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { namespacePath } from '../../lab/namespaces.ts';
import { networkConfiguration } from '../../lab/pods.ts';
import type { LabNode, LabPlan } from '../../lab/topology.ts';
import { buildImage } from './image.ts';
import { noteNamespaces, type Workplace } from './workplace.ts';

/** Runs a command of podman; returns what it prints, and throws what it complains about. */
export type Podman = (...command: readonly string[]) => Promise<string> & { child: ChildProcess };

export async function setUpPodman(plan: LabPlan, node: LabNode, place: Workplace): Promise<Podman> {
  const at = (name: string) => join(place.path, name);
  noteNamespaces(place);
  const plugin = {
    ...networkConfiguration(plan, node.name),
    capabilities: { portMappings: true, bandwidth: true, ips: true, mac: true },
  };
  writeFileSync(
    join(place.networks, '10-fairlead.conflist'),
    JSON.stringify({ cniVersion: '0.4.0', name: 'fairlead', plugins: [plugin] }),
  );
  // Without CAP_SYS_RESOURCE no limit can be raised: default_ulimits asks for none. Locks in shared memory, the usual
  // ones, would be the machine's.
  writeFileSync(
    at('containers.conf'),
    `[containers]
default_ulimits = []
apparmor_profile = ""
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
[engine.runtimes]
runc = ["${place.runc}"]
[network]
network_backend = "cni"
cni_plugin_dirs = ["${place.plugins}"]
network_config_dir = "${place.networks}"
`,
  );
  writeFileSync(at('policy.json'), '{ "default": [{ "type": "insecureAcceptAnything" }] }');
  const folders = [
    '--root',
    at('root'),
    '--runroot',
    at('run'),
    '--tmpdir',
    at('tmp'),
    '--storage-driver',
    'vfs',
  ];
  const podman: Podman = (...command) => {
    const args = [`--net=${namespacePath(node.namespace)}`, '--', 'podman', ...folders, ...command];
    const env = { ...process.env, CONTAINERS_CONF: at('containers.conf'), TMPDIR: place.path };
    const running = promisify(execFile)('nsenter', args, { env });
    const { child } = running;
    return Object.assign(
      running.then(({ stdout }) => stdout.trim()),
      { child },
    );
  };
  await podman('load', '--signature-policy', at('policy.json'), '--input', buildImage(place.path));
  return podman;
}
