/** Notifications about what changed in a namespace, so that it need not be looked at all the time. */
import { RTM_DELADDR, RTM_NEWADDR } from './codec/address.ts';
import { RTM_DELLINK, RTM_NEWLINK } from './codec/link.ts';
import { type Message, readMessages } from './codec/message.ts';
import { RTM_DELNEIGH, RTM_NEWNEIGH, readFdbEntry, readNeighbor } from './codec/neighbor.ts';
import { RTM_DELNETCONF, RTM_NEWNETCONF } from './codec/netconf.ts';
import { RTM_DELQDISC, RTM_NEWQDISC, readTcLink } from './codec/qdisc.ts';
import { RTM_DELTFILTER, RTM_NEWTFILTER } from './codec/redirect.ts';
import { RTM_DELROUTE, RTM_NEWROUTE, readRoute } from './codec/route.ts';
import { RTM_DELRULE, RTM_NEWRULE } from './codec/rule.ts';
import type { KernelEvent } from './kernel.ts';
import type { NetworkNamespace } from './namespace.ts';
import { NetlinkSocket } from './socket.ts';

/** linux/rtnetlink.h, enum rtnetlink_groups. */
const GROUPS = {
  LINK: 1,
  NEIGH: 3,
  TC: 4,
  IPV4_IFADDR: 5,
  IPV4_ROUTE: 7,
  IPV4_RULE: 8,
  IPV6_IFADDR: 9,
  IPV6_ROUTE: 11,
  IPV6_RULE: 19,
  IPV4_NETCONF: 24,
} as const;
const NETLINK_ROUTE = 0;

export type WatchOptions = {
  /** The process' own where absent. */
  namespace?: NetworkNamespace;
  /** Port ids whose changes are no news: those of our own kernels. */
  own: ReadonlySet<number>;
  onEvent: (event: KernelEvent) => void;
};

export type KernelWatch = { [Symbol.dispose](): void };

/** Watching alone keeps no process alive. */
export function watchKernel({ namespace, own, onEvent }: WatchOptions): KernelWatch {
  const socket = new NetlinkSocket(NETLINK_ROUTE, namespace, Object.values(GROUPS));
  const stop = socket.watch((datagram) => {
    if (datagram === null) return onEvent({ kind: 'overrun' });
    for (const message of readMessages(datagram)) {
      const event = own.has(message.portId) ? undefined : readEvent(message);
      if (event !== undefined) onEvent(event);
    }
  });
  return {
    [Symbol.dispose]: () => {
      stop();
      socket[Symbol.dispose]();
    },
  };
}

function readEvent({ type, payload }: Message): KernelEvent | undefined {
  switch (type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return { kind: 'link', change: type === RTM_NEWLINK ? 'new' : 'deleted', linkIndex: linkOf(payload) };
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return {
        kind: 'address',
        change: type === RTM_NEWADDR ? 'new' : 'deleted',
        linkIndex: linkOf(payload),
      };
    case RTM_NEWROUTE:
    case RTM_DELROUTE: {
      const route = readRoute(payload);
      if (route === undefined) return undefined;
      return { kind: 'route', change: type === RTM_NEWROUTE ? 'new' : 'deleted', route };
    }
    case RTM_NEWRULE:
      return { kind: 'rule', change: 'new' };
    case RTM_DELRULE:
      return { kind: 'rule', change: 'deleted' };
    case RTM_NEWNETCONF:
      return { kind: 'netconf', change: 'new' };
    case RTM_DELNETCONF:
      return { kind: 'netconf', change: 'deleted' };
    case RTM_NEWQDISC:
    case RTM_NEWTFILTER:
      return { kind: 'queue', change: 'new', linkIndex: readTcLink(payload) };
    case RTM_DELQDISC:
    case RTM_DELTFILTER:
      return { kind: 'queue', change: 'deleted', linkIndex: readTcLink(payload) };
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH: {
      const change = type === RTM_NEWNEIGH ? 'new' : 'deleted';
      const neighbor = readNeighbor(payload);
      if (neighbor !== undefined) return { kind: 'neighbor', change, neighbor };
      const entry = readFdbEntry(payload);
      return entry === undefined ? undefined : { kind: 'fdb', change, entry };
    }
    default:
      return undefined;
  }
}

/** Both struct ifinfomsg and struct ifaddrmsg have it behind four bytes. */
function linkOf(payload: Buffer): number {
  return payload.readUInt32LE(4);
}
