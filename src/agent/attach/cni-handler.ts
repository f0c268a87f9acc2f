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
import {
  type Attachment,
  type AttachmentKey,
  attachmentId,
  describeAttachment,
  hostLinkName,
} from '../../plan/pod/attachment.ts';
import { hostMac } from '../../plan/pod/plan.ts';
import type { Namespace, PodEdges } from '../edges.ts';
import {
  type AttachmentTable,
  describeUnknown,
  findAttachment,
  type KnownAttachments,
  type LiveAttachment,
} from '../node/attachments.ts';
import type { LinkRemoval } from '../node/link-removal.ts';
import type { Readiness } from '../node/node-view.ts';
import { type AttachContext, type Attached, type AttachRequest, attach } from './attach.ts';
import type { Cancellation } from './call-queue.ts';
import { checkAttachment } from './check.ts';
import { detach } from './detach.ts';
import type { HostPorts } from './host-ports.ts';

export type CniContext = Pick<AttachContext, 'writeSysctls'> & {
  log: Logger;
  kernel: Kernel;
  /** The node's own namespace, which no pod may ask to be attached. */
  namespace: Namespace;
  pods: PodEdges;
  table: AttachmentTable;
  removal: LinkRemoval;
  readiness: () => Readiness;
  nextIndex: () => number;
  hostPorts: HostPorts;
  /** Resolves when the policies are in force for every pod that is attached, the one that asks among them. */
  admit: (attachment: Attachment) => Promise<void>;
  /** Has a DEL completed that the plugin had to keep of this attachment: it was meant for the one before. */
  completeKept: (key: AttachmentKey, complete: () => Promise<CniReply>) => Promise<void>;
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

/** Commands on one attachment take turns, and each looks its attachment up when it has its turn. */
async function run(request: CniRequest, context: CniContext): Promise<CniReply> {
  const { calls } = context.table;
  switch (request.command) {
    case 'VERSION':
      return { exitCode: 0, stdout: versionReply() };
    case 'STATUS':
      return status(context);
    case 'GC':
      return collect(request, context);
    case 'DEL': {
      const id = attachmentId(keyOf(request));
      // An ADD may wait for long; its pod is not wanted any more.
      calls.cancel(id);
      return calls.run(id, () => remove(keyOf(request), context));
    }
    case 'CHECK':
      return calls.run(attachmentId(keyOf(request)), () => check(request, context));
    case 'ADD':
      return calls.runCancellable(attachmentId(keyOf(request)), (cancellation) =>
        add(request, context, cancellation),
      );
  }
}

function keyOf({ configuration, containerId, ifname }: RequestOf<'ADD' | 'CHECK' | 'DEL'>): AttachmentKey {
  return { network: configuration.name, containerId, ifname };
}

/** @throws CniError to try again, while it is not known what is attached: none is not none then. */
function requireKnown({ now }: AttachmentTable): KnownAttachments {
  if (now.known) return now;
  throw new CniError('TRY_AGAIN', describeUnknown(now));
}

async function add(
  request: RequestOf<'ADD' | 'CHECK'>,
  context: CniContext,
  cancellation: Cancellation,
): Promise<CniReply> {
  const { configuration, ifname, pod: podName } = request;
  context.removal.postpone();
  const table = requireKnown(context.table);
  const key = keyOf(request);
  refuseCancelled(key, cancellation);
  await context.completeKept(key, () => remove(key, context));
  using namespace = openPodNamespace(request, context);
  using pod = context.pods.openKernel(namespace);
  // The interface of an earlier DEL of this container may still be on its way out.
  if (table.doomed.size > 0 && pod.link(ifname) !== undefined) await context.removal.settled();
  const readiness = context.readiness();
  if (!readiness.ready)
    throw new CniError('TRY_AGAIN', `this node cannot take pods yet: ${readiness.reason}`);
  for (const notice of configuration.notices) context.log.warn(notice, { network: configuration.name });
  const attached = await attachWhenFree(
    {
      ...key,
      ips: configuration.requested.ips,
      portMappings: configuration.portMappings,
      ...(configuration.bandwidth === undefined ? {} : { bandwidth: configuration.bandwidth }),
      ...(configuration.requested.mac === undefined ? {} : { mac: configuration.requested.mac }),
      ...(configuration.mtu === undefined ? {} : { mtu: configuration.mtu }),
      ...(podName === undefined ? {} : { pod: podName }),
    },
    {
      ...context,
      table,
      cancellation,
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
    // Others may wait for policies too; the ports that are being opened must be open before they can be closed.
    [
      'the policies for the pod cannot be brought into force',
      () => Promise.race([context.admit(attachment), cancellation.whenCancelled]),
    ],
    ['the ports of the pod cannot be opened', () => context.hostPorts.open(attachment)],
  ] as const;
  for (const [failure, reach] of stages) {
    try {
      await reach();
      refuseCancelled(attachment, cancellation);
      refuseVanished(attachment, table);
    } catch (error) {
      await withdraw(attachment, table, context);
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

/** Addresses of pods that were deleted just now are free when their links are gone: no ADD is refused for those. */
async function attachWhenFree(
  request: AttachRequest,
  context: AttachContext & Pick<CniContext, 'removal'> & { cancellation: Cancellation },
): Promise<Attached> {
  const { table, removal, cancellation } = context;
  refuseCancelled(request, cancellation);
  try {
    return attach(request, context);
  } catch (error) {
    const lacksAddress =
      error instanceof CniError &&
      (error.code === CNI_CODES.NOT_AVAILABLE || error.code === CNI_CODES.ADDRESS_TAKEN);
    if (!lacksAddress || table.doomed.size === 0) throw error;
  }
  await removal.settled();
  refuseCancelled(request, cancellation);
  return attach(request, context);
}

/** An ADD whose attachment was deleted meanwhile is for a pod that is not wanted any more. */
function refuseCancelled({ containerId, ifname }: AttachmentKey, { cancelled }: Cancellation): void {
  if (!cancelled) return;
  throw new CniError(
    'UNKNOWN_CONTAINER',
    `container ${containerId} (${ifname}) was deleted by a DEL while it was attached; nothing is left of it`,
  );
}

/** Its namespace may have died while something was waited for, and the link with it. */
function refuseVanished(attachment: LiveAttachment, table: KnownAttachments): void {
  if (isPresent(attachment, table)) return;
  throw new CniError(
    'UNKNOWN_CONTAINER',
    `${describeAttachment(attachment)} is gone: its namespace, or its interface, was deleted while it was attached`,
  );
}

/** Whether the table still has this attachment, and not a later one of the same name. */
function isPresent(attachment: LiveAttachment, table: KnownAttachments): boolean {
  return findAttachment(table, attachment)?.linkIndex === attachment.linkIndex;
}

/** An ADD that cannot be completed leaves nothing. */
async function withdraw(
  attachment: LiveAttachment,
  table: KnownAttachments,
  context: CniContext,
): Promise<void> {
  if (isPresent(attachment, table)) detach(attachment, { ...context, table, host: context.kernel });
  await context.hostPorts.close(attachment);
}

function openPodNamespace(
  { netns, ownNamespace }: RequestOf<'ADD' | 'CHECK'>,
  context: CniContext,
): Namespace {
  let namespace: Namespace;
  try {
    namespace = context.pods.openNamespace(netns);
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
async function remove(key: AttachmentKey, context: CniContext): Promise<CniReply> {
  const table = requireKnown(context.table);
  const attachment = findAttachment(table, key);
  if (attachment === undefined) return SUCCESS;
  const { failures } = detach(attachment, { ...context, table, host: context.kernel });
  await context.hostPorts.close(attachment);
  const log = { what: describeAttachment(attachment), network: attachment.network, ips: attachment.ips };
  if (isPresent(attachment, table))
    throw new CniError(
      'KERNEL_REFUSED',
      `${log.what} stays attached: ${failures.map(({ error }) => error.message).join('; ')}; delete it again`,
    );
  if (failures.length === 0) context.log.info('detached', log);
  else
    context.log.warn('detached, with troubles', {
      ...log,
      failures: failures.map(({ error }) => error.message),
    });
  return SUCCESS;
}

async function check(request: RequestOf<'ADD' | 'CHECK'>, context: CniContext): Promise<CniReply> {
  const { configuration, containerId, ifname } = request;
  const attachment = findAttachment(requireKnown(context.table), keyOf(request));
  if (attachment === undefined) {
    throw new CniError(
      'UNKNOWN_CONTAINER',
      `container ${containerId} is not attached to network ${configuration.name} by ${ifname}; ADD it`,
    );
  }
  using namespace = openPodNamespace(request, context);
  using pod = context.pods.openKernel(namespace);
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
  const table = requireKnown(context.table);
  const failures: string[] = [];
  const release = async (attachment: LiveAttachment): Promise<void> => {
    // A DEL may have been faster, and an ADD after it is of a pod that the list cannot know.
    if (!isPresent(attachment, table)) return;
    context.log.info('released by GC', { what: describeAttachment(attachment), ips: attachment.ips });
    const reached = detach(attachment, { ...context, table, host: context.kernel });
    await context.hostPorts.close(attachment);
    failures.push(
      ...reached.failures.map(({ error }) => `${describeAttachment(attachment)}: ${error.message}`),
    );
  };
  for (const attachment of table.live.values().toArray()) {
    const id = attachmentId(attachment);
    if (attachment.network !== configuration.name || valid.has(id)) continue;
    await context.table.calls.run(id, () => release(attachment));
  }
  if (failures.length > 0)
    throw new CniError('KERNEL_REFUSED', `not all could be released: ${failures.join('; ')}`);
  return SUCCESS;
}

function status({ readiness, table }: CniContext): CniReply {
  const now = readiness();
  if (!now.ready) {
    throw new CniError(
      table.now.known && table.now.live.size > 0 ? 'NOT_AVAILABLE_AND_LIMITED' : 'NOT_AVAILABLE',
      `this node cannot take pods: ${now.reason}`,
    );
  }
  return SUCCESS;
}
