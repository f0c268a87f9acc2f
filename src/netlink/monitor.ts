/** Notifications about what changed in this process' namespace, so that it need not be looked at all the time. */
import { RTM_DELADDR, RTM_NEWADDR } from './address.ts';
import type { KernelEvent } from './kernel.ts';
import { RTM_DELLINK, RTM_NEWLINK } from './link.ts';
import { readMessages } from './message.ts';
import type { NetworkNamespace } from './namespace.ts';
import { native } from './native.ts';
import { RTM_DELNEIGH, RTM_NEWNEIGH } from './neighbor.ts';
import { RTM_DELNETCONF, RTM_NEWNETCONF } from './netconf.ts';
import { RTM_DELROUTE, RTM_NEWROUTE } from './route.ts';
import { RTM_DELRULE, RTM_NEWRULE } from './rule.ts';

/** linux/rtnetlink.h, RTNLGRP_*: LINK, NEIGH, IPV4_IFADDR, IPV4_ROUTE, IPV4_RULE, IPV6_IFADDR, IPV6_ROUTE, IPV6_RULE, IPV4_NETCONF. */
const GROUPS = [1, 3, 5, 7, 8, 9, 11, 19, 24];
const NETLINK_ROUTE = 0;

const KINDS = new Map<number, KernelEvent>([
  [RTM_NEWLINK, { kind: 'link', change: 'new' }],
  [RTM_DELLINK, { kind: 'link', change: 'deleted' }],
  [RTM_NEWADDR, { kind: 'address', change: 'new' }],
  [RTM_DELADDR, { kind: 'address', change: 'deleted' }],
  [RTM_NEWROUTE, { kind: 'route', change: 'new' }],
  [RTM_DELROUTE, { kind: 'route', change: 'deleted' }],
  [RTM_NEWNEIGH, { kind: 'neighbor', change: 'new' }],
  [RTM_DELNEIGH, { kind: 'neighbor', change: 'deleted' }],
  [RTM_NEWRULE, { kind: 'rule', change: 'new' }],
  [RTM_DELRULE, { kind: 'rule', change: 'deleted' }],
  [RTM_NEWNETCONF, { kind: 'netconf', change: 'new' }],
  [RTM_DELNETCONF, { kind: 'netconf', change: 'deleted' }],
]);

export type WatchOptions = {
  namespace?: NetworkNamespace;
  /** Port ids of our own sockets: the kernel names the requester of a change, and our own changes are no news. */
  own: ReadonlySet<number>;
  onEvent: (event: KernelEvent) => void;
};

export type KernelWatch = { [Symbol.dispose](): void };

export function watchKernel({ namespace, own, onEvent }: WatchOptions): KernelWatch {
  const socket = native.openSocket(NETLINK_ROUTE, namespace?.fd ?? -1, GROUPS);
  const stop = native.watch(socket.fd, (datagram) => {
    if (datagram === null) return onEvent({ kind: 'overrun' });
    for (const { type, portId } of readMessages(datagram)) {
      const event = own.has(portId) ? undefined : KINDS.get(type);
      if (event !== undefined) onEvent(event);
    }
  });
  return {
    [Symbol.dispose]: () => {
      stop();
      native.closeFd(socket.fd);
    },
  };
}
