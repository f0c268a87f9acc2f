/** What a fake kernel remembers: namespaces in memory, with whom to tell about changes. */
import { parseMac } from '../../../base/ip/mac.ts';
import type { KernelEvent } from '../kernel.ts';
import type {
  Address,
  FdbEntry,
  Ipv4DeviceSettings,
  Ipv6DeviceSettings,
  Link,
  Neighbor,
  NetworkConfiguration,
  Qdisc,
  Redirect,
  Route,
  Rule,
} from '../objects.ts';

export type FakeLink = Link & {
  ipv4: Ipv4DeviceSettings;
  ipv6: Ipv6DeviceSettings;
  /** Where the other end of a veth is. */
  peer?: { namespace: FakeNamespace; index: number };
};

/** All namespaces of one fake machine, by descriptor: the peer of a veth may be in any of them. */
export type FakeMachine = Map<number, FakeNamespace>;

export type FakeNamespace = {
  readonly fd: number;
  readonly machine: FakeMachine;
  readonly links: Map<number, FakeLink>;
  addresses: Address[];
  routes: Route[];
  neighbors: Neighbor[];
  fdb: FdbEntry[];
  rules: Rule[];
  qdiscs: Qdisc[];
  redirects: Redirect[];
  /** `all` and `default`. */
  settings: NetworkConfiguration[];
  readonly subscribers: Set<(event: KernelEvent, author: number) => void>;
};

/** The errno's name; undefined is success. */
export type Answer = string | undefined;

/** As the kernel sets a link that is made. */
export const NEW_LINK_SETTINGS: Pick<FakeLink, 'ipv4' | 'ipv6'> = {
  ipv4: {
    forwarding: false,
    rpFilter: 0,
    proxyArp: false,
    acceptRedirects: true,
    routeLocalnet: false,
    sendRedirects: true,
  },
  ipv6: { disabled: false, acceptRa: 1, acceptRedirects: true, autoconf: true, proxyNdp: false },
};

const LOOPBACK: FakeLink = {
  index: 1,
  name: 'lo',
  mac: parseMac('00:00:00:00:00:00'),
  mtu: 65536,
  up: false,
  running: false,
  loopback: true,
  group: 0,
  altNames: [],
  ...structuredClone(NEW_LINK_SETTINGS),
};
let lastFd = 1000;

/** As the kernel makes it: a loopback that is down, and the rules that look up local, main and default table. */
export function createFakeNamespace(machine: FakeMachine = new Map()): FakeNamespace {
  const namespace: FakeNamespace = {
    fd: ++lastFd,
    machine,
    links: new Map([[1, structuredClone(LOOPBACK)]]),
    addresses: [],
    routes: [],
    neighbors: [],
    fdb: [],
    rules: [
      { family: 4, priority: 0, table: 255, protocol: 2 },
      { family: 4, priority: 32766, table: 254, protocol: 2 },
      { family: 4, priority: 32767, table: 253, protocol: 2 },
      { family: 6, priority: 0, table: 255, protocol: 2 },
      { family: 6, priority: 32766, table: 254, protocol: 2 },
    ],
    qdiscs: [],
    redirects: [],
    settings: [
      { family: 4, scope: 'all', forwarding: false, rpFilter: 0 },
      { family: 4, scope: 'default', forwarding: false, rpFilter: 0 },
    ],
    subscribers: new Set(),
  };
  machine.set(namespace.fd, namespace);
  return namespace;
}

/** The author of what the kernel tells without saying who it was. */
export const NOBODY = 0;

/** Told later, as the kernel does: a subscriber never runs inside the change. */
export function emit(namespace: FakeNamespace, event: KernelEvent, author: number): void {
  queueMicrotask(() => {
    for (const subscriber of namespace.subscribers) subscriber(event, author);
  });
}
