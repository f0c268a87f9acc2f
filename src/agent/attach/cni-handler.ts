/** Each CNI command against the node's attachments. */

import { describeError, FairleadError } from '../../base/errors/errors.ts';
import type { Logger } from '../../base/log/logger.ts';
import { CNI_CODES, CniError } from '../../edge/cni/errors.ts';
import type { RequestFrame } from '../../edge/cni/frame.ts';
import type { CniRequest } from '../../edge/cni/request.ts';
import { parseRequest } from '../../edge/cni/request.ts';
import { type CniReply, errorReply, SUCCESS } from '../../edge/cni/result/reply.ts';
import { formatResult } from '../../edge/cni/result/result.ts';
import { versionReply } from '../../edge/cni/version.ts';
import type { Kernel } from '../../edge/netlink/kernel.ts';
import { NetworkNamespace } from '../../edge/netlink/namespace.ts';
import { openKernel } from '../../edge/netlink/rtnetlink.ts';
import {
  type Attachment,
  attachmentId,
  describeAttachment,
  hostLinkName,
} from '../../plan/pod/attachment.ts';
import { hostMac } from '../../plan/pod/plan.ts';
import { type AttachmentTable, findAttachment } from '../node/attachments.ts';
import type { LinkRemoval } from '../node/link-removal.ts';
import type { Readiness } from '../node/node-view.ts';
import { type AttachContext, type Attached, type AttachRequest, attach } from './attach.ts';
import { checkAttachment } from './check.ts';
import { detach } from './detach.ts';
import type { HostPorts } from './host-ports.ts';

export type CniContext = {
  log: Logger;
  kernel: Kernel;
  /** The node's own namespace, which no pod may ask to be attached. */
  namespace: NetworkNamespace;
  table: AttachmentTable;
  removal: LinkRemoval;
  readiness: () => Readiness;
  nextIndex: () => number;
  hostPorts: HostPorts;
  /** Resolves when the policies are in force for every pod that is attached, the one that asks among them. */
  admit: (attachment: Attachment) => Promise<void>;
};

type RequestOf<C extends CniRequest['command']> = Extract<CniRequest, { command: C }>;

export async function handleCni(
  { environment, stdin }: RequestFrame,
  context: CniContext,
): Promise<CniReply> {
  const log = context.log.child({
    command: environment['CNI_COMMAND'],
    container: environment['CNI_CONTAINERID'],
  });
  try {
    return await run(parseRequest(environment, stdin), context);
  } catch (error) {
    log.warn('a CNI command failed', { reason: describeError(error) });
    return errorReply(error, stdin);
  }
}

async function run(request: CniRequest, context: CniContext): Promise<CniReply> {
  switch (request.command) {
    case 'VERSION':
      return { exitCode: 0, stdout: versionReply() };
    case 'STATUS':
      return status(context);
    case 'GC':
      return collect(request, context);
    case 'DEL':
      return remove(request, context);
    case 'CHECK':
      return check(request, context);
    case 'ADD':
      return add(request, context);
  }
}

async function add(request: RequestOf<'ADD' | 'CHECK'>, context: CniContext): Promise<CniReply> {
  const { configuration, containerId, ifname, pod: podName } = request;
  context.removal.postpone();
  const readiness = context.readiness();
  if (!readiness.ready)
    throw new CniError('TRY_AGAIN', `this node cannot take pods yet: ${readiness.reason}`);
  for (const notice of configuration.notices) context.log.warn(notice, { network: configuration.name });
  using namespace = openPodNamespace(request, context);
  using pod = openKernel(namespace);
  // The interface of an earlier DEL of this container may still be on its way out.
  if (context.table.doomed.size > 0 && pod.link(ifname) !== undefined) await context.removal.settled();
  const attached = await attachWhenFree(
    {
      network: configuration.name,
      containerId,
      ifname,
      ips: configuration.requested.ips,
      portMappings: configuration.portMappings,
      ...(configuration.bandwidth === undefined ? {} : { bandwidth: configuration.bandwidth }),
      ...(configuration.requested.mac === undefined ? {} : { mac: configuration.requested.mac }),
      ...(configuration.mtu === undefined ? {} : { mtu: configuration.mtu }),
      ...(podName === undefined ? {} : { pod: podName }),
    },
    {
      ...context,
      host: context.kernel,
      view: readiness.view,
      namespace,
      pod,
      isOwn: namespace.identity === context.namespace.identity,
    },
  );
  const { attachment, mac, gateways, mtu } = attached;
  for (const notice of attached.notices) context.log.warn(notice, { what: describeAttachment(attachment) });
  const stages = [
    ['the policies for the pod cannot be brought into force', () => context.admit(attachment)],
    ['the ports of the pod cannot be opened', () => context.hostPorts.open(attachment)],
  ] as const;
  for (const [failure, reach] of stages) {
    try {
      await reach();
    } catch (error) {
      await withdraw(attachment, context);
      if (error instanceof CniError) throw error;
      throw new CniError('KERNEL_REFUSED', `${failure}: ${describeError(error)}`);
    }
  }
  context.log.info('attached', {
    what: describeAttachment(attachment),
    network: attachment.network,
    ips: attachment.ips,
  });
  const stdout = formatResult(
    {
      host: { name: hostLinkName(attachment), mac: hostMac(attachment), mtu },
      pod: { name: ifname, mac, mtu, sandbox: request.netns },
      addresses: attachment.ips.map((ip, index) => ({ ip, gateway: gateways[index]! })),
      isDefault: attached.isDefault,
      dns: configuration.dns,
    },
    configuration.cniVersion,
    configuration.prevResult,
  );
  return { exitCode: 0, stdout };
}

/** Addresses of pods that were deleted just now are free when their links are gone: nobody is refused for those. */
async function attachWhenFree(
  request: AttachRequest,
  context: AttachContext & Pick<CniContext, 'removal'>,
): Promise<Attached> {
  try {
    return attach(request, context);
  } catch (error) {
    const lacksAddress =
      error instanceof CniError &&
      (error.code === CNI_CODES.NOT_AVAILABLE || error.code === CNI_CODES.ADDRESS_TAKEN);
    if (!lacksAddress || context.table.doomed.size === 0) throw error;
  }
  await context.removal.settled();
  return attach(request, context);
}

/** An ADD that cannot be completed leaves nothing. */
async function withdraw(key: Attachment, context: CniContext): Promise<void> {
  const attachment = findAttachment(context.table, key);
  if (attachment === undefined) return;
  detach(attachment, { ...context, host: context.kernel });
  await context.hostPorts.close(attachment);
}

function openPodNamespace(
  { netns, ownNamespace }: RequestOf<'ADD' | 'CHECK'>,
  context: CniContext,
): NetworkNamespace {
  let namespace: NetworkNamespace;
  try {
    namespace = NetworkNamespace.open(netns);
  } catch (error) {
    if (!(error instanceof FairleadError)) throw error;
    throw new CniError('NAMESPACE', `CNI_NETNS: ${error.message}; give the path of the pod's namespace`);
  }
  if (namespace.identity === context.namespace.identity && ownNamespace === 'refused') {
    namespace[Symbol.dispose]();
    throw new CniError(
      'OWN_NAMESPACE',
      `CNI_NETNS: ${netns} is the namespace of the node itself; give that of the pod`,
    );
  }
  return namespace;
}

/** Never fails for absence: what is not there is deleted. */
async function remove(
  { configuration, containerId, ifname }: RequestOf<'DEL'>,
  context: CniContext,
): Promise<CniReply> {
  const attachment = findAttachment(context.table, { network: configuration.name, containerId, ifname });
  if (attachment === undefined) return SUCCESS;
  const { failures } = detach(attachment, { ...context, host: context.kernel });
  await context.hostPorts.close(attachment);
  const log = { what: describeAttachment(attachment), network: attachment.network, ips: attachment.ips };
  if (failures.length === 0) context.log.info('detached', log);
  else
    context.log.warn('detached, with troubles', {
      ...log,
      failures: failures.map(({ error }) => error.message),
    });
  return SUCCESS;
}

function check(request: RequestOf<'ADD' | 'CHECK'>, context: CniContext): CniReply {
  const { configuration, containerId, ifname } = request;
  const attachment = findAttachment(context.table, { network: configuration.name, containerId, ifname });
  if (attachment === undefined) {
    throw new CniError(
      'UNKNOWN_CONTAINER',
      `container ${containerId} is not attached to network ${configuration.name} by ${ifname}; ADD it`,
    );
  }
  using namespace = openPodNamespace(request, context);
  using pod = openKernel(namespace);
  const faults = [
    ...checkAttachment(attachment, context.kernel, pod, configuration.prevResult, request.netns),
    ...(context.hostPorts.areOpen(attachment) ? [] : ['a port of the node does not lead to it']),
  ];
  if (faults.length === 0) return SUCCESS;
  throw new CniError(
    'NOT_AS_ATTACHED',
    `${describeAttachment(attachment)} is not as it was attached: ${faults.join('; ')}`,
  );
}

/** Releases what is not listed, of this network alone. */
async function collect(
  { configuration }: RequestOf<'GC' | 'STATUS'>,
  context: CniContext,
): Promise<CniReply> {
  const valid = new Set(
    (configuration.validAttachments ?? []).map((reference) =>
      attachmentId({ network: configuration.name, ...reference }),
    ),
  );
  const failures: string[] = [];
  for (const attachment of context.table.live.values().toArray()) {
    if (attachment.network !== configuration.name || valid.has(attachmentId(attachment))) continue;
    context.log.info('released by GC', { what: describeAttachment(attachment), ips: attachment.ips });
    const reached = detach(attachment, { ...context, host: context.kernel });
    await context.hostPorts.close(attachment);
    failures.push(
      ...reached.failures.map(({ error }) => `${describeAttachment(attachment)}: ${error.message}`),
    );
  }
  if (failures.length > 0)
    throw new CniError('KERNEL_REFUSED', `not all could be released: ${failures.join('; ')}`);
  return SUCCESS;
}

function status({ readiness, table }: CniContext): CniReply {
  const now = readiness();
  if (!now.ready) {
    throw new CniError(
      table.live.size > 0 ? 'NOT_AVAILABLE_AND_LIMITED' : 'NOT_AVAILABLE',
      `this node cannot take pods: ${now.reason}`,
    );
  }
  return SUCCESS;
}
