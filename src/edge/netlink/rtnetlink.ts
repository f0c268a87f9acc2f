/** The real kernel: one namespace's rtnetlink (rtnetlink(7)). */
import { RTM_GETADDR, RTM_NEWADDR, readAddress, writeAddressRequest } from './codec/address.ts';
import { Writer } from './codec/attribute.ts';
import { isLinkKey, RTM_GETLINK, RTM_NEWLINK, readLink, writeLinkRequest } from './codec/link.ts';
import { NLMSG_ERROR, readError, readMessages } from './codec/message.ts';
import {
  RTM_GETNEIGH,
  RTM_NEWNEIGH,
  readFdbEntry,
  readNeighbor,
  writeFdbRequest,
  writeNeighborRequest,
} from './codec/neighbor.ts';
import { RTM_GETNETCONF, RTM_NEWNETCONF, readNetconf, writeNetconfRequest } from './codec/netconf.ts';
import { describeOperation, writeOperation } from './codec/operation.ts';
import { RTM_GETQDISC, RTM_NEWQDISC, readQdisc, writeQdiscRequest } from './codec/qdisc.ts';
import { RTM_GETTFILTER, RTM_NEWTFILTER, readRedirect, writeRedirectRequest } from './codec/redirect.ts';
import { RTM_GETROUTE, RTM_NEWROUTE, readRoute, writeRouteRequest } from './codec/route.ts';
import { RTM_GETRULE, RTM_NEWRULE, readRule, writeRuleRequest } from './codec/rule.ts';
import { dump, dumpSliced, get, type Question } from './dump.ts';
import { type Kernel, NetlinkError, type Operation, type Outcome, type RouteFilter } from './kernel.ts';
import type { NetworkNamespace } from './namespace.ts';
import type { Transaction } from './native.ts';
import type { FdbEntry, Neighbor, Route } from './objects.ts';
import { NetlinkSocket } from './socket.ts';

const NETLINK_ROUTE = 0;
/** Bytes per send: below the smallest send buffer, and few enough that all answers fit the receive buffer. */
const BATCH_BYTES = 32_768;

/** @param namespace the process' own where absent; not to be disposed before the first `applyAsync`, if there is one. */
export function openKernel(namespace?: Pick<NetworkNamespace, 'fd'>): Kernel {
  const socket = new NetlinkSocket(NETLINK_ROUTE, namespace);
  const portIds = new Set([socket.portId]);
  // What runs off the event loop gets a socket of its own, so that answers never mix; made when first needed.
  let background: NetlinkSocket | undefined;
  const openBackground = () => {
    const opened = new NetlinkSocket(NETLINK_ROUTE, namespace);
    portIds.add(opened.portId);
    return opened;
  };
  const close = () => {
    socket[Symbol.dispose]();
    background?.[Symbol.dispose]();
  };
  return {
    portIds,
    apply: (operations) =>
      [...batches(operations)].flatMap(({ part, messages }) => readOutcomes(part, socket.transact(messages))),
    applyAsync: async (operations) => {
      background ??= openBackground();
      const outcomes: Outcome[] = [];
      for (const { part, messages } of batches(operations)) {
        outcomes.push(...readOutcomes(part, await background.transactAsync(messages)));
      }
      return outcomes;
    },
    ...readers(socket),
    readEntries: async (fdbOf) => {
      background ??= openBackground();
      return readEntries(background, fdbOf);
    },
    close,
    [Symbol.dispose]: close,
  };
}

type Readers = Omit<
  Kernel,
  'portIds' | 'apply' | 'applyAsync' | 'readEntries' | 'close' | typeof Symbol.dispose
>;

const LINKS = { what: 'links', type: RTM_GETLINK, answer: RTM_NEWLINK, read: readLink };
const NEIGHBORS = { what: 'neighbors', type: RTM_GETNEIGH, answer: RTM_NEWNEIGH };

function askRoutes(filter: RouteFilter): Question<Route> {
  const { table, protocol, linkIndex } = filter;
  return {
    what: 'routes',
    type: RTM_GETROUTE,
    answer: RTM_NEWROUTE,
    write: (writer) => writeRouteRequest(writer, filter),
    // Kernels without strict checking send all that there is, so every filter is applied here again.
    read: (payload) => {
      const route = readRoute(payload);
      if (route === undefined || (table ?? route.table) !== route.table) return undefined;
      if ((protocol ?? route.protocol) !== route.protocol) return undefined;
      return (linkIndex ?? route.linkIndex) === route.linkIndex ? route : undefined;
    },
  };
}

function askNeighbors(linkIndex?: number): Question<Neighbor> {
  return {
    ...NEIGHBORS,
    write: (writer) => writeNeighborRequest(writer, linkIndex),
    read: (payload) => {
      const neighbor = readNeighbor(payload);
      return neighbor?.linkIndex === (linkIndex ?? neighbor?.linkIndex) ? neighbor : undefined;
    },
  };
}

function askFdb(linkIndex: number): Question<FdbEntry> {
  return {
    ...NEIGHBORS,
    write: (writer) => writeFdbRequest(writer, linkIndex),
    read: (payload) => {
      const entry = readFdbEntry(payload);
      return entry?.linkIndex === linkIndex ? entry : undefined;
    },
  };
}

async function readEntries(
  socket: NetlinkSocket,
  fdbOf: readonly number[],
): ReturnType<Kernel['readEntries']> {
  const fdb: FdbEntry[] = [];
  for (const linkIndex of fdbOf) fdb.push(...(await dumpSliced(socket, askFdb(linkIndex))));
  return {
    routes: await dumpSliced(socket, askRoutes({})),
    neighbors: await dumpSliced(socket, askNeighbors()),
    fdb,
  };
}

function readers(socket: NetlinkSocket): Readers {
  return {
    links: () => dump(socket, { ...LINKS, write: (writer) => writeLinkRequest(writer) }),
    link: (key) =>
      isLinkKey(key)
        ? get(socket, { ...LINKS, write: (writer) => writeLinkRequest(writer, key) })
        : undefined,
    addresses: () =>
      dump(socket, {
        what: 'addresses',
        type: RTM_GETADDR,
        answer: RTM_NEWADDR,
        write: writeAddressRequest,
        read: readAddress,
      }),
    routes: (filter = {}) => dump(socket, askRoutes(filter)),
    neighbors: (linkIndex) => dump(socket, askNeighbors(linkIndex)),
    fdb: (linkIndex) => dump(socket, askFdb(linkIndex)),
    rules: () =>
      dump(socket, {
        what: 'rules',
        type: RTM_GETRULE,
        answer: RTM_NEWRULE,
        write: writeRuleRequest,
        read: readRule,
      }),
    qdiscs: () =>
      dump(socket, {
        what: 'queues',
        type: RTM_GETQDISC,
        answer: RTM_NEWQDISC,
        write: writeQdiscRequest,
        read: readQdisc,
      }),
    redirects: (linkIndex) =>
      dump(socket, {
        what: 'filters',
        type: RTM_GETTFILTER,
        answer: RTM_NEWTFILTER,
        write: (writer) => writeRedirectRequest(writer, linkIndex),
        read: readRedirect,
      }),
    networkConfigurations: () =>
      dump(socket, {
        what: 'network configurations',
        type: RTM_GETNETCONF,
        answer: RTM_NEWNETCONF,
        write: writeNetconfRequest,
        read: readNetconf,
      }),
  };
}

type Batch = { part: Operation[]; messages: Buffer };

/** Each is written when it is asked for: thousands of operations take longer than others can wait. */
function* batches(operations: readonly Operation[]): Generator<Batch> {
  let writer = new Writer();
  let part: Operation[] = [];
  for (const operation of operations) {
    writeOperation(writer, operation);
    part.push(operation);
    if (writer.length >= BATCH_BYTES) {
      yield { part, messages: writer.finish() };
      writer = new Writer();
      part = [];
    }
  }
  if (part.length > 0) yield { part, messages: writer.finish() };
}

/** By sequence number: the transaction has ended only when each operation has its answer. */
function readOutcomes(operations: readonly Operation[], { replies, firstSequence }: Transaction): Outcome[] {
  const outcomes: Outcome[] = operations.map(() => undefined);
  for (const message of readMessages(replies)) {
    if (message.type !== NLMSG_ERROR) continue;
    const index = (message.sequence - firstSequence) >>> 0;
    const operation = operations[index];
    const refusal = readError(message);
    if (operation === undefined || refusal === undefined) continue;
    outcomes[index] = new NetlinkError(describeOperation(operation), refusal.errno, refusal.extendedAck);
  }
  return outcomes;
}
