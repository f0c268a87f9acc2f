/** The parts of an agent, and the one world that all of them are derived from. What is opened last is closed first. */

import { describeError } from '../base/errors/errors.ts';
import type { Datapath } from '../datapath/datapath.ts';
import { openNftablesDatapath } from '../datapath/nftables/datapath.ts';
import type { Basis } from './basis.ts';
import type { ClusterSource } from './cluster-source.ts';
import { PolicyEnforcer } from './datapath/policy-enforcer.ts';
import { derive } from './derive.ts';
import type { Edges } from './edges.ts';
import { type AttachmentTable, buried, createAttachmentTable } from './node/attachments.ts';
import { LinkRemoval } from './node/link-removal.ts';
import { NodeNetwork } from './node/network.ts';
import { loadNodeView } from './node/node-record.ts';
import type { Prober } from './probes/prober.ts';
import { Services } from './services/services.ts';
import { createWorld } from './world.ts';

/** Indexes below are what the kernel itself hands out first. */
const FIRST_INDEX = 1000;

export type Parts = {
  store: ClusterSource;
  table: AttachmentTable;
  removal: LinkRemoval;
  nextIndex: () => number;
  datapath: Datapath;
  network: NodeNetwork;
  /** Absent where the source of the cluster's nodes has no policies. */
  enforcer: PolicyEnforcer | undefined;
  prober: Prober;
  services: Services;
};

export type PartsOptions = {
  edges: Edges;
  basis: Basis;
  stack: AsyncDisposableStack;
  /** Called when policies of a new state of the cluster are in force. */
  onForce: () => void;
};

export async function openParts({ edges, basis, stack, onForce }: PartsOptions): Promise<Parts> {
  const { kernel, conntrack, clock } = edges;
  const { name, log, configuration } = basis;
  const { stateDirectory } = configuration().paths;
  const store = stack.adopt(edges.openCluster(configuration, name, log), (opened) => opened.close());
  const table = createAttachmentTable(clock.date());
  const removal = new LinkRemoval(
    kernel,
    (links) => {
      if (!table.now.known) return;
      buried(table.now, links);
      // Our own changes are no news: without this what is enforced for a pod would outlive it until the next resync.
      enforcer?.podsChanged();
    },
    (error) => log.error('interfaces could not be deleted', { reason: describeError(error) }),
    clock,
  );
  stack.defer(() => removal.settled());
  const nextIndex = handOutIndexes(edges);
  const world = createWorld(name, loadNodeView(stateDirectory, name), clock.date());
  const states = () => derive(world.view, world.node, table.now, configuration());
  const datapath = await openNftablesDatapath(edges.nftables, log, clock);
  const network = new NodeNetwork({
    name,
    configuration,
    store,
    kernel,
    datapath,
    table,
    removal,
    nextIndex,
    log,
    clock,
    world,
    states,
    openSysctls: (folder) => edges.openSysctls(folder),
    forgetFlows: conntrack.forget,
  });
  stack.defer(() => network.stop());
  const enforcer =
    store.policies === undefined
      ? undefined
      : new PolicyEnforcer({
          datapath,
          table,
          conntrack,
          log,
          clock,
          openDropLog: edges.openDropLog,
          stateDirectory,
          onForce,
          source: store.policies,
          set: (effective) => {
            world.view = { ...world.view, policies: { known: true, effective } };
            return datapath.set(() => states().datapath, ['policies']);
          },
          node: () => ({ name, ips: kernel.addresses().map(({ ip }) => ip) }),
        });
  stack.defer(() => enforcer?.stop());
  enforcer?.drops?.follow((denial) => store.denials?.tell(denial));
  const prober = stack.use(
    edges.startProber({ intervalSeconds: () => configuration().probes.intervalSeconds, log }),
  );
  const services = new Services({
    store,
    configuration,
    kernel,
    nftables: edges.nftables,
    conntrack,
    log,
    openSysctls: (folder) => edges.openSysctls(folder),
  });
  stack.defer(() => services.stop());
  return { store, table, removal, nextIndex, datapath, network, enforcer, prober, services };
}

/** Asked for when the first one is needed: a start must not fail because the links cannot be read just now. */
function handOutIndexes({ kernel }: Edges): () => number {
  let last: number | undefined;
  return () => {
    last ??= Math.max(FIRST_INDEX, ...kernel.links().map(({ index }) => index));
    return ++last;
  };
}
