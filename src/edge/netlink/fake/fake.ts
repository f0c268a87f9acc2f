/**
 * A kernel in memory, for tests of what decides about a network. Its answers are those of the real one as far as
 * Fairlead uses it, extended ACK texts apart; test/netlink/conformance.ts holds both to it.
 */
import { assertNever } from '../../../base/errors/errors.ts';
import { Writer } from '../codec/attribute.ts';
import { describeOperation, writeOperation } from '../codec/operation.ts';
import {
  type Kernel,
  type KernelEvent,
  NetlinkError,
  type Operation,
  type Outcome,
  type RouteFilter,
} from '../kernel.ts';
import type { Link } from '../objects.ts';
import {
  addRule,
  deleteAddress,
  deleteFdbEntry,
  deleteNeighbor,
  deleteRoute,
  deleteRule,
  replaceAddress,
  replaceFdbEntry,
  replaceNeighbor,
  replaceRoute,
} from './fake-entries.ts';
import {
  addLinkNames,
  changeLink,
  createLink,
  deleteGroup,
  deleteLink,
  destroyLinks,
  findByName,
} from './fake-links.ts';
import { replaceQdisc, replaceRedirect } from './fake-queues.ts';
import type { Answer, FakeLink, FakeNamespace } from './fake-state.ts';

export { createFakeNamespace, type FakeMachine, type FakeNamespace } from './fake-state.ts';

let lastPortId = 0;

/** Several may be open on one namespace: what one changes is foreign to those who watch for another. */
export function openFakeKernel(namespace: FakeNamespace): Kernel {
  const portId = ++lastPortId;
  let open = true;
  const state = () => {
    if (!open) throw new TypeError('the netlink socket is closed');
    return namespace;
  };
  const close = () => {
    open = false;
  };
  const apply = (operations: readonly Operation[]) =>
    operations.map((operation): Outcome => applyOne(state(), operation, portId));
  const routes = (filter: RouteFilter = {}) =>
    structuredClone(
      state().routes.filter(
        ({ table, protocol, linkIndex }) =>
          table === (filter.table ?? table) &&
          protocol === (filter.protocol ?? protocol) &&
          linkIndex === (filter.linkIndex ?? linkIndex),
      ),
    );
  const neighbors = (linkIndex?: number) =>
    structuredClone(
      state().neighbors.filter((neighbor) => neighbor.linkIndex === (linkIndex ?? neighbor.linkIndex)),
    );
  const fdb = (linkIndex: number) =>
    structuredClone(state().fdb.filter((entry) => entry.linkIndex === linkIndex));
  return {
    portIds: new Set([portId]),
    apply,
    applyAsync: (operations) => Promise.resolve().then(() => apply(operations)),
    links: () => [...state().links.values()].map(readLink),
    link: (key) => {
      const link = typeof key === 'number' ? state().links.get(key) : findByName(state(), key);
      return link === undefined ? undefined : readLink(link);
    },
    addresses: () => structuredClone(state().addresses),
    routes,
    neighbors,
    fdb,
    readEntries: (fdbOf) =>
      Promise.resolve().then(() => ({
        routes: routes(),
        neighbors: neighbors(),
        fdb: fdbOf.flatMap(fdb),
      })),
    rules: () => structuredClone(state().rules),
    qdiscs: () => structuredClone(state().qdiscs),
    redirects: (linkIndex) =>
      structuredClone(state().redirects.filter((redirect) => redirect.linkIndex === linkIndex)),
    networkConfigurations: () => [
      ...[...state().links.values()].map(({ index, ipv4 }) => ({
        family: 4 as const,
        scope: { link: index },
        forwarding: ipv4.forwarding,
        rpFilter: ipv4.rpFilter,
      })),
      ...structuredClone(state().settings),
    ],
    close,
    [Symbol.dispose]: close,
  };
}

/** Ends a namespace, as the kernel does when no process is in it and nothing names it any more. */
export function destroyFakeNamespace(namespace: FakeNamespace): void {
  destroyLinks(namespace);
  namespace.machine.delete(namespace.fd);
}

/** As `watchKernel`. */
export function watchFakeKernel(options: {
  namespace: FakeNamespace;
  own: ReadonlySet<number>;
  onEvent: (event: KernelEvent) => void;
}): { [Symbol.dispose](): void } {
  const { namespace, own, onEvent } = options;
  const subscriber = (event: KernelEvent, author: number) => {
    if (!own.has(author)) onEvent(event);
  };
  namespace.subscribers.add(subscriber);
  return { [Symbol.dispose]: () => void namespace.subscribers.delete(subscriber) };
}

function applyOne(namespace: FakeNamespace, operation: Operation, author: number): Outcome {
  // What cannot be written for the real kernel is no operation here either.
  writeOperation(new Writer(), operation);
  const errno = answer(namespace, structuredClone(operation), author);
  return errno === undefined ? undefined : new NetlinkError(describeOperation(operation), errno);
}

function answer(namespace: FakeNamespace, operation: Operation, author: number): Answer {
  switch (operation.op) {
    case 'link.create':
      return createLink(namespace, operation.link, author);
    case 'link.change':
      return changeLink(namespace, operation.change, author);
    case 'link.addNames':
      return addLinkNames(namespace, operation.index, operation.names, author);
    case 'link.delete':
      return deleteLink(namespace, operation.index, author);
    case 'link.deleteGroup':
      return deleteGroup(namespace, operation.group, author);
    case 'address.replace':
      return replaceAddress(namespace, operation.address, author);
    case 'address.delete':
      return deleteAddress(namespace, operation.address, author);
    case 'route.replace':
      return replaceRoute(namespace, operation.route, author);
    case 'route.delete':
      return deleteRoute(namespace, operation.route, author);
    case 'neighbor.replace':
      return replaceNeighbor(namespace, operation.neighbor, author);
    case 'neighbor.delete':
      return deleteNeighbor(namespace, operation.neighbor);
    case 'fdb.replace':
      return replaceFdbEntry(namespace, operation.entry);
    case 'fdb.delete':
      return deleteFdbEntry(namespace, operation.entry);
    case 'rule.add':
      return addRule(namespace, operation.rule, author);
    case 'rule.delete':
      return deleteRule(namespace, operation.rule, author);
    case 'qdisc.replace':
      return replaceQdisc(namespace, operation.qdisc, author);
    case 'redirect.replace':
      return replaceRedirect(namespace, operation.redirect, author);
    default:
      return assertNever(operation);
  }
}

function readLink(link: FakeLink): Link {
  const { peer, ...fields } = link;
  const farUp = peer === undefined || peer.namespace.links.get(peer.index)?.up === true;
  return structuredClone({ ...fields, running: link.up && farUp });
}
