/** What a namespace's kernel tells of routes, neighbors and forwarding entries, each with its time. */
import { readMessages } from '../../src/edge/netlink/codec/message.ts';
import {
  RTM_DELNEIGH,
  RTM_NEWNEIGH,
  readFdbEntry,
  readNeighbor,
} from '../../src/edge/netlink/codec/neighbor.ts';
import { RTM_DELROUTE, RTM_NEWROUTE, readRoute } from '../../src/edge/netlink/codec/route.ts';
import type { NetworkNamespace } from '../../src/edge/netlink/namespace.ts';
import { NetlinkSocket } from '../../src/edge/netlink/socket.ts';
import { monotonicMs } from './clock.ts';

/** RTNLGRP_NEIGH, RTNLGRP_IPV4_ROUTE of linux/rtnetlink.h. */
const GROUPS = [3, 7];
const NETLINK_ROUTE = 0;

export type Observer = {
  /** Notifications so far, lost ones not among them. */
  readonly count: number;
  /** When the latest came. */
  readonly latest: number;
  /** @returns when the last of these came, and how many of any kind came meanwhile. */
  expect: (changes: readonly string[]) => Promise<{ at: number; operations: number }>;
  [Symbol.dispose](): void;
};

const PATIENCE_MS = 30_000;

/** Changes are texts: `+route 10.244.1.0/24`, `-neighbor 10.244.1.0`, `+fdb 02:… 192.168.1.3`. */
export function observe(namespace: NetworkNamespace): Observer {
  const socket = new NetlinkSocket(NETLINK_ROUTE, namespace, GROUPS);
  let [count, latest] = [0, 0];
  let awaited: { missing: Set<string>; from: number; tell: (at: number) => void } | undefined;
  const stop = socket.watch((datagram) => {
    const at = monotonicMs();
    if (datagram === null) return;
    for (const { type, payload } of readMessages(datagram)) {
      const change = describe(type, payload);
      if (change === undefined) continue;
      count++;
      latest = at;
      if (awaited === undefined) continue;
      awaited.missing.delete(change);
      if (awaited.missing.size === 0) awaited.tell(at);
    }
  });
  return {
    get count() {
      return count;
    },
    get latest() {
      return latest;
    },
    expect: (changes) =>
      new Promise((resolve, reject) => {
        const missing = new Set(changes);
        const from = count;
        const timer = setTimeout(() => {
          awaited = undefined;
          reject(new Error(`the kernel was not told: ${[...missing].join(', ')}`));
        }, PATIENCE_MS);
        awaited = {
          missing,
          from,
          tell: (at) => {
            clearTimeout(timer);
            awaited = undefined;
            resolve({ at, operations: count - from });
          },
        };
      }),
    [Symbol.dispose]: () => {
      stop();
      socket[Symbol.dispose]();
    },
  };
}

function describe(type: number, payload: Buffer): string | undefined {
  switch (type) {
    case RTM_NEWROUTE:
    case RTM_DELROUTE: {
      const route = readRoute(payload);
      return route === undefined
        ? undefined
        : `${type === RTM_NEWROUTE ? '+' : '-'}route ${route.destination}`;
    }
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH: {
      const sign = type === RTM_NEWNEIGH ? '+' : '-';
      const neighbor = readNeighbor(payload);
      if (neighbor !== undefined) return `${sign}neighbor ${neighbor.ip}`;
      const entry = readFdbEntry(payload);
      return entry === undefined ? undefined : `${sign}fdb ${entry.mac} ${entry.destination ?? ''}`;
    }
    default:
      return undefined;
  }
}
