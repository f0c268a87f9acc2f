/** The lab's nodes as Node objects: registered as a kubelet would, with the ranges that the cluster's records name. */
import { release } from 'node:os';
import { openDirectoryStore } from '../../src/cluster/directory-store.ts';
import type { ClusterNode } from '../../src/plan/node/cluster-node.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { type Api, timeOf } from '../api/api.ts';
import { kindNamed } from '../api/kinds.ts';
import { type ApiObject, type Fields, listAt, textAt } from '../api/storage/object.ts';
import { ensureObject, setField } from '../api/validation/owner.ts';
import { clusterDirectory, nodePaths } from '../state.ts';
import { type LabPlan, zoneOf } from '../topology.ts';

/** Milliseconds between questions to the agents whether they are ready. */
const ASK_MS = 2000;

export function mirrorNodes(plan: LabPlan, api: Api): Disposable {
  const store = openDirectoryStore(clusterDirectory(plan.options.name));
  const readiness = new Map<string, boolean>();
  const mirror = () => {
    for (const node of store.state.nodes)
      mirrorNode(api, node, zoneOf(plan, node.name), readiness.get(node.name) ?? plan.options.cni === 'none');
  };
  let asking = false;
  const ask = async () => {
    if (asking || plan.options.cni === 'none') return;
    asking = true;
    for (const { name } of plan.nodes) {
      const status = await askStatus(nodePaths(plan.options.name, name).apiSocket).catch(() => undefined);
      readiness.set(name, status?.readiness.ready === true);
    }
    asking = false;
    mirror();
  };
  mirror();
  void ask();
  const watching = store.watch(mirror);
  const timer = setInterval(() => void ask(), ASK_MS);
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
      watching[Symbol.dispose]();
      store.close();
    },
  };
}

function mirrorNode(api: Api, record: ClusterNode, zone: string | undefined, ready: boolean): void {
  const { name, uid, createdAt, podCidrs } = record;
  // The tunnel's addresses follow from the uid: it is the same from every source of nodes.
  const registered = { ...api, newUid: () => uid, now: () => Date.parse(createdAt) };
  const node = ensureObject(registered, 'Node', {
    metadata: {
      name,
      labels: {
        'kubernetes.io/hostname': name,
        'kubernetes.io/os': 'linux',
        'kubernetes.io/arch': process.arch === 'x64' ? 'amd64' : process.arch,
        ...(zone === undefined ? {} : { 'topology.kubernetes.io/zone': zone }),
      },
    } as { name: string },
    spec: podCidrs.length > 0 ? { podCIDRs: podCidrs } : {},
    status: nodeStatus(undefined, record, ready, timeOf(api.now())),
  });
  const current = api.store.get(kindNamed('Node'), undefined, name) ?? node;
  if (listAt(current, 'spec', 'podCIDRs').length === 0 && podCidrs.length > 0)
    setField(api, current, ['spec', 'podCIDRs'], podCidrs);
  setField(api, current, ['status'], nodeStatus(current, record, ready, timeOf(api.now())));
}

function nodeStatus(
  before: ApiObject | undefined,
  { name, internalIps }: ClusterNode,
  ready: boolean,
  now: string,
): Fields {
  const old = listAt(before, 'status', 'conditions').find(
    (condition) => textAt(condition, 'type') === 'Ready',
  );
  const status = ready ? 'True' : 'False';
  const since = textAt(old, 'status') === status ? textAt(old, 'lastTransitionTime') : now;
  return {
    capacity: { cpu: '1', memory: '1Gi', pods: '253' },
    allocatable: { cpu: '1', memory: '1Gi', pods: '253' },
    addresses: [
      ...internalIps.map((address) => ({ type: 'InternalIP', address })),
      { type: 'Hostname', address: name },
    ],
    nodeInfo: {
      kernelVersion: release(),
      osImage: 'Fairlead lab',
      containerRuntimeVersion: 'lab://1',
      kubeletVersion: 'v1.32.0+fairlead',
      operatingSystem: 'linux',
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    },
    conditions: [
      // Those of others, the agent's among them, are theirs.
      ...listAt(before, 'status', 'conditions').filter((condition) => textAt(condition, 'type') !== 'Ready'),
      {
        type: 'Ready',
        status,
        reason: ready ? 'KubeletReady' : 'NetworkNotReady',
        message: ready ? 'the agent takes pods' : 'the agent does not answer, or takes no pods yet',
        lastTransitionTime: since,
      },
    ],
  };
}
