/** CNI ADD on the kernel: from a validated request to a pod with an address, or to an error that leaves nothing. */

import { cidrContains, cidrFamily } from '../../base/ip/cidr.ts';
import { type Ip, ipFamily } from '../../base/ip/ip.ts';
import type { Mac } from '../../base/ip/mac.ts';
import type { Bandwidth } from '../../edge/cni/capability/bandwidth.ts';
import type { PortMapping } from '../../edge/cni/capability/port-mapping.ts';
import { CniError } from '../../edge/cni/errors.ts';
import type { PodName } from '../../edge/cni/pod-name.ts';
import type { Kernel, NetlinkError, Operation } from '../../edge/netlink/kernel.ts';
import type { NetworkNamespace } from '../../edge/netlink/namespace.ts';
import type { Sysctl } from '../../edge/sysctl/sysctls.ts';
import { findConflict } from '../../plan/hostport/conflict.ts';
import { MOST_MAPPINGS } from '../../plan/hostport/record.ts';
import { allocate, capacityOf, gatewayOf, isPodAddress } from '../../plan/ipam/allocate.ts';
import {
  type Attachment,
  type AttachmentKey,
  attachmentId,
  describeAttachment,
  formatRecord,
  hostLinkName,
} from '../../plan/pod/attachment.ts';
import { fitBandwidth } from '../../plan/pod/bandwidth.ts';
import { ipv6Sysctls, podEndSettings, podLinkSettings } from '../../plan/pod/link-settings.ts';
import { type PodPlan, planPod, podMac } from '../../plan/pod/plan.ts';
import { placeShaper } from '../kernel/shapers.ts';
import {
  findAttachment,
  type KnownAttachments,
  type LiveAttachment,
  takenAddresses,
} from '../node/attachments.ts';
import type { NodeView } from '../node/node-view.ts';

export type AttachRequest = AttachmentKey & {
  pod?: PodName;
  /** Addresses that were asked for, at most one per family. */
  ips: readonly Ip[];
  portMappings: readonly PortMapping[];
  bandwidth?: Bandwidth;
  mac?: Mac;
  /** Bytes; the node's value where absent. */
  mtu?: number;
};

export type AttachContext = {
  table: KnownAttachments;
  /** The node's namespace. */
  host: Kernel;
  view: NodeView;
  namespace: Pick<NetworkNamespace, 'fd'>;
  /** The pod's namespace, which may be the node's own: then both ends of the veth need indexes of one namespace. */
  pod: Kernel;
  isOwn: boolean;
  nextIndex: () => number;
  /** Sets what only files do, in the node's namespace or another; what cannot be set costs no pod its start. */
  writeSysctls: (settings: readonly Sysctl[], namespace?: Pick<NetworkNamespace, 'fd'>) => void;
};

export type Attached = {
  attachment: LiveAttachment;
  mac: Mac;
  gateways: Ip[];
  mtu: number;
  /** Whether the pod's default route leads through this interface. */
  isDefault: boolean;
  /** What was asked for and is served otherwise, one sentence each. */
  notices: readonly string[];
};

export function attach(request: AttachRequest, context: AttachContext): Attached {
  const { table, pod, view } = context;
  refuseTwice(request, context);
  refuseTakenPorts(request, table);
  const ips = chooseAddresses(request, table, view);
  const mtu = request.mtu ?? view.mtu;
  const { bandwidth, notices } = fitBandwidth(request.bandwidth, mtu);
  const attachment: Attachment = {
    network: request.network,
    containerId: request.containerId,
    ifname: request.ifname,
    ips,
    ...(request.mac === undefined ? {} : { mac: request.mac }),
    ...(request.pod === undefined ? {} : { pod: request.pod }),
    ...(request.portMappings.length === 0 ? {} : { portMappings: request.portMappings }),
    ...(bandwidth === undefined ? {} : { bandwidth }),
  };
  const record = formatRecord(attachment);
  if (record === undefined) {
    throw new CniError(
      'INVALID_ENVIRONMENT',
      `CNI_CONTAINERID and network name are ${request.containerId.length} and ${request.network.length} characters long; ` +
        'together they must fit into 170, because the interface itself carries them',
    );
  }
  const gateways = ips.map((ip) => gatewayOf(view.ranges.find((range) => cidrContains(range, ip))!));
  const shaperIndex = placeShaper(attachment, context.host, context.nextIndex);
  const routing = hasDefaultRoute(pod) ? 'own-table' : 'main';
  const linkIndex = createLink(context, attachment, (hostIndex, podIndex) =>
    planPod({
      attachment,
      record,
      hostIndex,
      podIndex,
      ...(shaperIndex === undefined ? {} : { shaperIndex }),
      podNamespaceFd: context.namespace.fd,
      gateways,
      nodeIps: view.nodeIps,
      mtu,
      routing,
    }),
  );
  const live = { ...attachment, linkIndex };
  table.live.set(attachmentId(attachment), live);
  return { attachment: live, mac: podMac(attachment), gateways, mtu, isDefault: routing === 'main', notices };
}

function refuseTwice(request: AttachRequest, { table, pod }: AttachContext): void {
  const present = findAttachment(table, request);
  if (present !== undefined) {
    throw new CniError(
      'ALREADY_ATTACHED',
      `${describeAttachment(present)} is attached to network ${request.network} already, with ${present.ips.join(', ')}; ` +
        'DEL it before another ADD',
    );
  }
  if (pod.link(request.ifname) !== undefined) {
    throw new CniError(
      'INVALID_ENVIRONMENT',
      `CNI_IFNAME: the namespace has an interface ${request.ifname} already; choose another name or delete that one`,
    );
  }
}

function refuseTakenPorts({ portMappings }: AttachRequest, table: KnownAttachments): void {
  if (portMappings.length > MOST_MAPPINGS) {
    throw new CniError(
      'INVALID_CONFIGURATION',
      `runtimeConfig.portMappings: ${portMappings.length} are too many for one pod; give at most ${MOST_MAPPINGS}`,
    );
  }
  const conflict = findConflict(portMappings, table.live.values());
  if (conflict === undefined) return;
  const { mapping, holder } = conflict;
  throw new CniError(
    'HOST_PORT_TAKEN',
    `runtimeConfig.portMappings: ${mapping.protocol} port ${mapping.hostPort} of the node leads to ${describeAttachment(holder)} already; ` +
      'choose another hostPort, or delete that pod first',
  );
}

/** One address per family: the one asked for, or the next free one, from the first range that has one. */
function chooseAddresses(request: AttachRequest, table: KnownAttachments, view: NodeView): Ip[] {
  const taken = takenAddresses(table);
  for (const ip of request.ips) {
    const range = view.ranges.find((candidate) => cidrContains(candidate, ip));
    if (range === undefined || !isPodAddress(range, ip)) {
      throw new CniError(
        'INVALID_CONFIGURATION',
        `ips: ${ip} is not an address for a pod of this node, whose range is ${view.ranges.join(', ')}; ask for one of that`,
      );
    }
    if (taken.has(ip)) {
      const holder = [...table.live.values()].find(({ ips }) => ips.includes(ip));
      throw new CniError(
        'ADDRESS_TAKEN',
        `ips: ${ip} is taken by ${holder === undefined ? 'a pod that is being deleted' : describeAttachment(holder)}; ask for another`,
      );
    }
  }
  return [...Map.groupBy(view.ranges, cidrFamily)].map(([family, ranges]) => {
    const requested = request.ips.find((ip) => ipFamily(ip) === family);
    if (requested !== undefined) return requested;
    const tries = ranges.map((range) => ({ range, allocation: allocate(range, taken, table.history) }));
    for (const { allocation } of tries) {
      if (allocation.outcome === 'exhausted') continue;
      table.history = allocation.history;
      return allocation.ip;
    }
    const used = tries.map(
      ({ range, allocation }) =>
        `${range}: ${allocation.outcome === 'exhausted' ? allocation.used : 0} of ${capacityOf(range)} are used`,
    );
    throw new CniError(
      'NOT_AVAILABLE',
      `no free address in ${used.join(', ')}; delete pods on this node or give it a larger range`,
    );
  });
}

function hasDefaultRoute(pod: Kernel): boolean {
  return pod
    .routes({ table: 254 })
    .some(({ destination }) => destination === '0.0.0.0/0' || destination === '::/0');
}

/**
 * Creates the veth under free indexes and configures both ends. A refusal takes the link away again, and with it
 * everything that was configured on it.
 * @returns the index of the host's end.
 */
function createLink(
  context: AttachContext,
  attachment: Attachment,
  plan: (hostIndex: number, podIndex: number) => PodPlan,
): number {
  const { host, pod, isOwn } = context;
  for (let attempt = 0; ; attempt++) {
    const index = context.nextIndex();
    const { create, shapers, inPod, commit } = plan(index, isOwn ? context.nextIndex() : index);
    const [error] = host.apply([create]);
    // A foreign interface has the index: EBUSY is the pod's, EEXIST the host's (or the name is taken).
    const taken = error?.errno === 'EBUSY' || (error?.errno === 'EEXIST' && host.link(index) !== undefined);
    if (taken && attempt < MAX_ATTEMPTS) continue;
    if (error !== undefined) throw refused(error);
    writeSettings(context, attachment);
    const unshaped = firstRefusal(host, shapers);
    const failure = unshaped ?? firstRefusal(pod, inPod) ?? firstRefusal(host, commit);
    if (failure === undefined) return index;
    const made = unshaped === undefined ? [create, ...shapers] : [create];
    host.apply(made.flatMap(undo));
    throw refused(failure);
  }
}

/** Before addresses and neighbors, which a link without IPv6 refuses, and before the pod can send anything. */
function writeSettings({ pod, namespace, isOwn, writeSysctls }: AttachContext, attachment: Attachment): void {
  const { ips, ifname } = attachment;
  writeSysctls(ipv6Sysctls(hostLinkName(attachment), podLinkSettings(attachment).ipv6));
  const wanted = podEndSettings(ips);
  const present = wanted.disabled === undefined ? undefined : pod.link(ifname)?.ipv6;
  if (present?.disabled === true) writeSysctls(ipv6Sysctls(ifname, wanted), isOwn ? undefined : namespace);
}

function undo(creation: Operation): Operation[] {
  const index = creation.op === 'link.create' ? creation.link.index : undefined;
  return index === undefined ? [] : [{ op: 'link.delete', index }];
}

const MAX_ATTEMPTS = 20;

function firstRefusal(kernel: Kernel, operations: readonly Operation[]): NetlinkError | undefined {
  return kernel.apply(operations).find((outcome) => outcome !== undefined);
}

function refused(error: NetlinkError): CniError {
  return new CniError('KERNEL_REFUSED', `the kernel refused to attach the pod: ${error.message}`);
}
