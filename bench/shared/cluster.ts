/** Nodes with real agents for benchmarks: two namespaces with one veth between them, no bridge, no router. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  createNamespaces,
  deleteNamespaces,
  ipBatch,
  listNamespaces,
  namespacePath,
} from '../../lab/namespaces.ts';
import { startAgentProcess } from '../../lab/processes.ts';
import { callPluginOrFail } from '../../lab/runtime.ts';
import { parseCidr } from '../../src/base/ip/cidr.ts';
import { parseIp } from '../../src/base/ip/ip.ts';
import { writeNode } from '../../src/cluster/directory-store.ts';
import { askStatus } from '../../src/tools/status/ask.ts';

/** Names carry the process that made them. */
const PREFIX = 'flb-';

export type BenchNode = {
  name: string;
  namespace: string;
  address: string;
  sockets: string;
  configuration: object;
};
export type BenchCluster = { nodes: BenchNode[]; directory: string };

/** Removes what this or an earlier, crashed run made. */
export async function cleanUp(directories: readonly string[] = []): Promise<void> {
  const gone = listNamespaces(PREFIX).filter((name) => {
    const pid = /^flb-(\d+)-/.exec(name)?.[1];
    return pid !== undefined && (Number(pid) === process.pid || !existsSync(`/proc/${pid}`));
  });
  await deleteNamespaces(gone);
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
}

export async function createHosts(names: readonly string[]): Promise<void> {
  await createNamespaces(names.map(hostName));
}

export function hostName(name: string): string {
  return `${PREFIX}${process.pid}-${name}`;
}

/** Two connected hosts, 192.168.1.2 and 192.168.1.3. */
export async function connectHosts(a: string, b: string): Promise<void> {
  await createHosts([a, b]);
  await ipBatch(hostName(a), [
    `link add eth0 type veth peer name eth0 netns ${hostName(b)}`,
    'addr add 192.168.1.2/24 dev eth0',
    'link set eth0 up',
  ]);
  await ipBatch(hostName(b), ['addr add 192.168.1.3/24 dev eth0', 'link set eth0 up']);
}

/**
 * One or two nodes; of one the interface is a bridge without ports.
 * @param more lines of the configuration.
 */
export async function startCluster(
  id: string,
  size: 1 | 2,
  backend: string,
  more: readonly string[] = [],
): Promise<BenchCluster> {
  const directory = mkdtempSync(join(tmpdir(), 'flb-'));
  const names = Array.from({ length: size }, (_, index) => `${id}${index + 1}`);
  if (size === 2) await connectHosts(names[0]!, names[1]!);
  else {
    await createHosts(names);
    await ipBatch(hostName(names[0]!), [
      'link add eth0 type bridge',
      'addr add 192.168.1.2/24 dev eth0',
      'link set eth0 up',
    ]);
  }
  const nodes = names.map((name, index) =>
    startNode(directory, name, index, [`backend: ${backend}`, ...more]),
  );
  for (const { sockets } of nodes) await awaitReady(join(sockets, 'api.sock'), size - 1);
  return { nodes, directory };
}

function startNode(directory: string, name: string, index: number, settings: readonly string[]): BenchNode {
  const address = `192.168.1.${index + 2}`;
  const home = join(directory, name);
  mkdirSync(home);
  writeNode(join(directory, 'cluster'), {
    name,
    uid: name,
    createdAt: '2026-01-01T00:00:00Z',
    internalIps: [parseIp(address)],
    podCidrs: [parseCidr(`10.244.${index}.0/24`)],
  });
  const sockets = join(home, 'run');
  const lines = [
    `node: { name: ${name} }`,
    ...settings,
    `cluster: { directory: ${join(directory, 'cluster')} }`,
    `paths: { socketDirectory: ${sockets}, stateDirectory: ${join(home, 'state')} }`,
    'log: { level: warn }',
  ];
  writeFileSync(join(home, 'config.yaml'), `${lines.join('\n')}\n`);
  startAgentProcess(hostName(name), join(home, 'config.yaml'), join(home, 'agent.log'));
  const configuration = {
    cniVersion: '1.1.0',
    name: 'bench',
    type: 'fairlead-cni',
    agentSocket: join(sockets, 'cni.sock'),
    stateDirectory: join(home, 'state'),
  };
  return { name, namespace: hostName(name), address, sockets, configuration };
}

async function awaitReady(socket: string, peers: number): Promise<void> {
  for (let attempt = 0; attempt < 400; attempt++) {
    const status = await askStatus(socket).catch(() => undefined);
    if (status?.readiness.ready === true && status.peers.length === peers) return;
    await sleep(25);
  }
  throw new Error(`no agent is ready at ${socket}`);
}

/**
 * A pod in a namespace of its own.
 * @param runtimeConfig capabilities that are asked for.
 * @returns its address.
 */
export async function attachPod(node: BenchNode, name: string, runtimeConfig: object = {}): Promise<string> {
  await createHosts([name]);
  const text = await callPluginOrFail({
    command: 'ADD',
    configuration: { ...node.configuration, runtimeConfig },
    containerId: name,
    netns: namespacePath(hostName(name)),
    ifname: 'eth0',
  });
  return (JSON.parse(text) as { ips: { address: string }[] }).ips[0]!.address.split('/')[0]!;
}
