/**
 * The seam between what Fairlead decides and the kernel that holds it: operations go in, dumps come out.
 * `rtnetlink.ts` is the real one, `fake.ts` the one for tests; one conformance suite runs against both.
 */
import type {
  Address,
  FdbEntry,
  Link,
  LinkChange,
  Neighbor,
  NetworkConfiguration,
  NewLink,
  Qdisc,
  Redirect,
  Route,
  Rule,
} from './objects.ts';

/** One change of the kernel's state. `replace` creates or overwrites; `delete` names just the object's key. */
export type Operation =
  | { op: 'link.create'; link: NewLink }
  | { op: 'link.change'; change: LinkChange }
  /** Alternative names; all of them or none. EEXIST when one is taken by any link of the namespace. */
  | { op: 'link.addNames'; index: number; names: readonly string[] }
  | { op: 'link.delete'; index: number }
  /** Deletes all links of one group in one message: one RCU wait for all of them. */
  | { op: 'link.deleteGroup'; group: number }
  | { op: 'address.replace'; address: Address }
  | { op: 'address.delete'; address: Address }
  | { op: 'route.replace'; route: Route }
  | { op: 'route.delete'; route: Route }
  | { op: 'neighbor.replace'; neighbor: Neighbor }
  | { op: 'neighbor.delete'; neighbor: Neighbor }
  | { op: 'fdb.replace'; entry: FdbEntry }
  | { op: 'fdb.delete'; entry: FdbEntry }
  | { op: 'rule.add'; rule: Rule }
  | { op: 'rule.delete'; rule: Rule }
  /** In place where the kind stays; otherwise what waits in the one before is dropped. */
  | { op: 'qdisc.replace'; qdisc: Qdisc }
  /** The link needs a `clsact` for it. */
  | { op: 'redirect.replace'; redirect: Redirect };

/** The answer to one operation: undefined is success. */
export type Outcome = NetlinkError | undefined;

/** A refusal by the kernel, with what it said itself (extended ACK, NLMSGERR_ATTR_MSG). */
export class NetlinkError extends Error {
  /** `EEXIST`, `ENODEV` … */
  readonly errno: string;
  readonly extendedAck: string | undefined;

  constructor(action: string, errno: string, extendedAck?: string) {
    super(`${action}: ${errno}${extendedAck === undefined ? '' : ` (kernel: ${extendedAck})`}`);
    this.name = 'NetlinkError';
    this.errno = errno;
    this.extendedAck = extendedAck;
  }
}

export type RouteFilter = { table?: number; protocol?: number; linkIndex?: number };

/** One network namespace. All calls but two are synchronous: a request takes about 10 µs. */
export interface Kernel {
  /** Whom notifications name as the author of what this one changed. */
  readonly portIds: ReadonlySet<number>;

  /** Applies the operations in order, each on its own: a refusal does not stop those after it. */
  apply(operations: readonly Operation[]): Outcome[];
  /** The same off the event loop, for what waits inside the kernel (a veth delete: 15–30 ms). */
  applyAsync(operations: readonly Operation[]): Promise<Outcome[]>;

  links(): Link[];
  /** By name, alternative name or index; undefined when there is none. */
  link(key: string | number): Link | undefined;
  addresses(): Address[];
  /** Filtered in the kernel where it can (strict dumps), always exact. */
  routes(filter?: RouteFilter): Route[];
  neighbors(linkIndex?: number): Neighbor[];
  fdb(linkIndex: number): FdbEntry[];
  rules(): Rule[];
  /** Of all links; the kernel has no question for those of one. */
  qdiscs(): Qdisc[];
  /** Filters of other kinds are none. */
  redirects(linkIndex: number): Redirect[];
  /** IPv4's: of `all`, of `default` and of each device. */
  networkConfigurations(): NetworkConfiguration[];

  /**
   * All of what a large cluster has thousands of, read off the event loop and in turns with others.
   * @param fdbOf the links whose forwarding entries are asked for.
   */
  readEntries(fdbOf: readonly number[]): Promise<{ routes: Route[]; neighbors: Neighbor[]; fdb: FdbEntry[] }>;

  close(): void;
  [Symbol.dispose](): void;
}

/** What changed in a watched namespace, and where; `overrun` says that notifications were lost: look at everything. */
export type KernelEvent =
  | { kind: 'rule' | 'netconf'; change: 'new' | 'deleted' }
  | { kind: 'link' | 'address'; change: 'new' | 'deleted'; linkIndex: number }
  /** As it is now, or was last. */
  | { kind: 'route'; change: 'new' | 'deleted'; route: Route }
  /**
   * Neighbors that the kernel resolves by itself change all the time. Here and for forwarding entries the event has the
   * object as it is now, or was last, since the kernel does not name the author of every such change: one's own are
   * among them.
   */
  | { kind: 'neighbor'; change: 'new' | 'deleted'; neighbor: Neighbor }
  | { kind: 'fdb'; change: 'new' | 'deleted'; entry: FdbEntry }
  /** A queue of a link, or a filter. */
  | { kind: 'queue'; change: 'new' | 'deleted'; linkIndex: number }
  | { kind: 'overrun' };
