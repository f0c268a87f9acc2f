/** The real kernel: one namespace's rtnetlink. */

import { RTM_GETADDR, RTM_NEWADDR, readAddress, writeAddressRequest } from './address.ts';
import { Writer } from './attribute.ts';
import { type Kernel, NetlinkError, type Operation, type Outcome } from './kernel.ts';
import { RTM_GETLINK, RTM_NEWLINK, readLink, writeLinkRequest } from './link.ts';
import {
  type Message,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLMSG_DONE,
  NLMSG_ERROR,
  readError,
  readMessages,
  writeMessage,
} from './message.ts';
import type { NetworkNamespace } from './namespace.ts';
import { native, type Transaction } from './native.ts';
import {
  RTM_GETNEIGH,
  RTM_NEWNEIGH,
  readFdbEntry,
  readNeighbor,
  writeFdbRequest,
  writeNeighborRequest,
} from './neighbor.ts';
import { RTM_GETNETCONF, RTM_NEWNETCONF, readNetconf, writeNetconfRequest } from './netconf.ts';
import { describeOperation, writeOperation } from './operation.ts';
import { RTM_GETROUTE, RTM_NEWROUTE, readRoute, writeRouteRequest } from './route.ts';
import { RTM_GETRULE, RTM_NEWRULE, readRule, writeRuleRequest } from './rule.ts';

const NETLINK_ROUTE = 0;
/** Bytes per send: well below the default socket send buffer of 208 KiB. */
const BATCH_BYTES = 32_768;
const MAX_DUMPS = 10;

export type Rtnetlink = Kernel & {
  /** The senders of our own notifications: see {@link watchKernel}. */
  readonly portIds: ReadonlySet<number>;
};

/** @param namespace the process' own where absent; it may be closed afterwards. */
export function openKernel(namespace?: NetworkNamespace): Rtnetlink {
  const open = () => native.openSocket(NETLINK_ROUTE, namespace?.fd ?? -1, []);
  const socket = open();
  const portIds = new Set([socket.portId]);
  // Requests off the event loop get a socket of their own, so that answers never mix; made when first needed.
  let background: { fd: number; portId: number } | undefined;
  let queue: Promise<unknown> = Promise.resolve();

  /** A dump that changed under the kernel's hands is asked for again; the last one counts in any case. */
  const dump = <T>(
    type: number,
    answer: number,
    write: (writer: Writer) => void,
    read: (payload: Buffer) => T | undefined,
  ): T[] => {
    const writer = new Writer();
    writeMessage(writer, type, NLM_F_DUMP, write);
    for (let attempt = 1; ; attempt++) {
      const transaction = native.transact(socket.fd, writer.finish());
      if (transaction.interrupted && attempt < MAX_DUMPS) continue;
      return readDump(transaction, answer, read);
    }
  };

  const close = () => {
    native.closeFd(socket.fd);
    const last = background;
    if (last !== undefined) void queue.finally(() => native.closeFd(last.fd));
  };

  return {
    portIds,
    apply: (operations) =>
      [...batches(operations)].flatMap(({ operations: part, messages }) =>
        readOutcomes(part, native.transact(socket.fd, messages)),
      ),
    applyAsync: (operations) => {
      background ??= openBackground(open, portIds, namespace);
      const { fd } = background;
      const run = queue.then(async () => {
        const outcomes: Outcome[] = [];
        for (const { operations: part, messages } of batches(operations)) {
          outcomes.push(...readOutcomes(part, await native.transactAsync(fd, messages)));
        }
        return outcomes;
      });
      queue = run.catch(() => undefined);
      return run;
    },
    links: () => dump(RTM_GETLINK, RTM_NEWLINK, (writer) => writeLinkRequest(writer), readLink),
    link: (key) => {
      const writer = new Writer();
      writeMessage(writer, RTM_GETLINK, NLM_F_ACK, () => writeLinkRequest(writer, key));
      const { replies } = native.transact(socket.fd, writer.finish());
      const found = [...readMessages(replies)].find(({ type }) => type === RTM_NEWLINK);
      return found === undefined ? undefined : readLink(found.payload);
    },
    addresses: () => dump(RTM_GETADDR, RTM_NEWADDR, writeAddressRequest, readAddress),
    routes: (filter = {}) =>
      dump(RTM_GETROUTE, RTM_NEWROUTE, (writer) => writeRouteRequest(writer, filter), readRoute).filter(
        ({ table, protocol }) =>
          table === (filter.table ?? table) && protocol === (filter.protocol ?? protocol),
      ),
    neighbors: (linkIndex) =>
      dump(
        RTM_GETNEIGH,
        RTM_NEWNEIGH,
        (writer) => writeNeighborRequest(writer, linkIndex),
        readNeighbor,
      ).filter((neighbor) => neighbor.linkIndex === (linkIndex ?? neighbor.linkIndex)),
    fdb: (linkIndex) =>
      dump(RTM_GETNEIGH, RTM_NEWNEIGH, (writer) => writeFdbRequest(writer, linkIndex), readFdbEntry).filter(
        (entry) => entry.linkIndex === linkIndex,
      ),
    rules: () => dump(RTM_GETRULE, RTM_NEWRULE, writeRuleRequest, readRule),
    networkConfigurations: () => dump(RTM_GETNETCONF, RTM_NEWNETCONF, writeNetconfRequest, readNetconf),
    close,
    [Symbol.dispose]: close,
  };
}

function openBackground(
  open: () => { fd: number; portId: number },
  portIds: Set<number>,
  namespace: NetworkNamespace | undefined,
): { fd: number; portId: number } {
  if (namespace !== undefined) throw new TypeError('applyAsync works in the process own namespace alone');
  const socket = open();
  portIds.add(socket.portId);
  return socket;
}

function* batches(
  operations: readonly Operation[],
): Generator<{ operations: Operation[]; messages: Buffer }> {
  let writer = new Writer();
  let part: Operation[] = [];
  for (const operation of operations) {
    writeOperation(writer, operation);
    part.push(operation);
    if (writer.length >= BATCH_BYTES) {
      yield { operations: part, messages: writer.finish() };
      writer = new Writer();
      part = [];
    }
  }
  if (part.length > 0) yield { operations: part, messages: writer.finish() };
}

function readOutcomes(operations: readonly Operation[], { replies, firstSequence }: Transaction): Outcome[] {
  const outcomes: Outcome[] = operations.map(() => undefined);
  for (const message of readMessages(replies)) {
    if (message.type !== NLMSG_ERROR) continue;
    const index = message.sequence - firstSequence;
    const operation = operations[index];
    const refusal = readError(message);
    if (operation === undefined || refusal === undefined) continue;
    outcomes[index] = new NetlinkError(describeOperation(operation), refusal.errno, refusal.extendedAck);
  }
  return outcomes;
}

function readDump<T>(
  { replies }: Transaction,
  answer: number,
  read: (payload: Buffer) => T | undefined,
): T[] {
  const objects: T[] = [];
  for (const message of readMessages(replies)) {
    if (message.type === answer) {
      const object = read(message.payload);
      if (object !== undefined) objects.push(object);
    } else {
      throwRefusedDump(message);
    }
  }
  return objects;
}

function throwRefusedDump(message: Message): void {
  if (message.type !== NLMSG_ERROR && message.type !== NLMSG_DONE) return;
  const refusal = message.payload.length >= 4 ? readError(message) : undefined;
  if (refusal !== undefined) throw new NetlinkError('dump', refusal.errno, refusal.extendedAck);
}
