/** The world of the conformance suite: two namespaces, what is commonly put into them, and how results are read. */
import type { TestContext } from 'node:test';
import { parseCidr } from '../../src/base/ip/cidr.ts';
import { parseIp } from '../../src/base/ip/ip.ts';
import { parseMac } from '../../src/base/ip/mac.ts';
import type { Kernel, KernelEvent, Operation } from '../../src/edge/netlink/kernel.ts';
import {
  type Address,
  type LinkChange,
  MAIN_TABLE,
  type Neighbor,
  type NewLink,
  NUD_PERMANENT,
  type Route,
  SCOPE_LINK,
  SCOPE_UNIVERSE,
} from '../../src/edge/netlink/objects.ts';

/** Two new namespaces of one machine. */
export type World = {
  node: Kernel;
  pod: Kernel;
  /** A descriptor of the pod's namespace. */
  podFd: number;
  /** Ends the pod's namespace; nothing of it can be asked any more. */
  endPod: () => void;
  /** Another program in the node's namespace. */
  stranger: Kernel;
  watchNode: (own: ReadonlySet<number>, onEvent: (event: KernelEvent) => void) => Disposable;
  [Symbol.dispose](): void;
};

/** Declares a test in a world of its own. */
export type InWorld = (
  title: string,
  body: (world: World, context: TestContext) => void | Promise<void>,
) => void;

export const PROTOCOL = 70;
export const HOST_INDEX = 100;
export const POD_INDEX = 7;
export const HOST_MAC = parseMac('02:00:00:00:01:00');
export const POD_MAC = parseMac('02:00:00:00:00:07');
export const POD_IP = parseIp('10.244.0.2');

export const podAddress: Address = {
  linkIndex: POD_INDEX,
  ip: POD_IP,
  prefixLength: 32,
  scope: SCOPE_UNIVERSE,
};
export const podNeighbor: Neighbor = {
  linkIndex: HOST_INDEX,
  ip: POD_IP,
  mac: POD_MAC,
  state: NUD_PERMANENT,
};
export const vxlan: NewLink & { index: number } = {
  index: 60,
  name: 'tunnel0',
  mtu: 1450,
  up: true,
  kind: { type: 'vxlan', vni: 1, port: 8472, learning: false, local: parseIp('192.168.1.2') },
};

export function veth({ podFd }: World): NewLink {
  const peer = { name: 'eth0', index: POD_INDEX, mac: POD_MAC, mtu: 1400, namespaceFd: podFd };
  return {
    index: HOST_INDEX,
    name: 'host0',
    mac: HOST_MAC,
    mtu: 1400,
    group: 64016,
    up: true,
    kind: { type: 'veth', peer },
  };
}

/** With both ends up. */
export function createVeth(world: World): void {
  reach(world.node, { op: 'link.create', link: veth(world) });
  reach(world.pod, { op: 'link.change', change: { index: POD_INDEX, up: true } });
}

export function createBridge(fields: Partial<NewLink>): Operation {
  return { op: 'link.create', link: { name: 'br0', kind: { type: 'bridge' }, ...fields } };
}

export function createTunnel(name: string, vni: number): Operation {
  return { op: 'link.create', link: { name, kind: { type: 'vxlan', vni, port: 8472, learning: false } } };
}

/** Of the host's end of the veth. */
export function changeHost(fields: Omit<LinkChange, 'index'>): Operation {
  return { op: 'link.change', change: { index: HOST_INDEX, ...fields } };
}

export function hostRoute(fields: Partial<Route>): Route {
  return {
    destination: parseCidr('10.244.0.2/32'),
    table: MAIN_TABLE,
    protocol: PROTOCOL,
    type: 'unicast',
    scope: SCOPE_LINK,
    linkIndex: HOST_INDEX,
    ...fields,
  };
}

/** One of each kind of thing that hangs on a link. */
export function entriesOn(linkIndex: number): Operation[] {
  return [
    {
      op: 'address.replace',
      address: { linkIndex, ip: parseIp('192.168.1.2'), prefixLength: 32, scope: SCOPE_UNIVERSE },
    },
    { op: 'neighbor.replace', neighbor: { ...podNeighbor, linkIndex } },
    replace(hostRoute({ linkIndex })),
  ];
}

export function replace(route: Route): Operation {
  return { op: 'route.replace', route };
}

/** Applies what must not fail. */
export function reach(kernel: Kernel, ...operations: Operation[]): void {
  for (const error of kernel.apply(operations)) if (error !== undefined) throw error;
}

export function errnos(kernel: Kernel, operations: readonly Operation[]): (string | undefined)[] {
  return kernel.apply(operations).map((error) => error?.errno);
}

export function names(kernel: Kernel): string[] {
  return kernel
    .links()
    .map(({ name }) => name)
    .toSorted();
}

export function own(kernel: Kernel): Route[] {
  return kernel.routes({ protocol: PROTOCOL }).toSorted(byText);
}

export function permanent(kernel: Kernel, linkIndex?: number): Neighbor[] {
  return kernel.neighbors(linkIndex).filter(({ state }) => state === NUD_PERMANENT);
}

export function v4(addresses: readonly Address[]): Address[] {
  return addresses.filter(({ ip }) => !ip.includes(':'));
}

export function isV4({ destination, table }: Route): boolean {
  return !destination.includes(':') && table !== 255;
}

export function byText(a: Route, b: Route): number {
  return JSON.stringify(a, Object.keys(a).toSorted()) < JSON.stringify(b, Object.keys(b).toSorted()) ? -1 : 1;
}

/** The same route without its link. */
export function withoutLink(route: Route): Route {
  const { linkIndex: _, ...fields } = route;
  return fields;
}
