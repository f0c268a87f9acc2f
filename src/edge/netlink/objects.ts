/**
 * What the kernel's network stack holds, as plain values: one type per rtnetlink object.
 * Fields carry rtnetlink's own units (MTU in bytes, indexes as the kernel numbers them).
 */
import type { Cidr } from '../../base/ip/cidr.ts';
import type { Ip, IpFamily } from '../../base/ip/ip.ts';
import type { Mac } from '../../base/ip/mac.ts';

/** An interface (linux/if_link.h, RTM_NEWLINK). */
export type Link = {
  index: number;
  name: string;
  /** IFLA_INFO_KIND: `veth`, `vxlan`, `bridge` …; absent for hardware and loopback. */
  kind?: string;
  mac?: Mac;
  mtu: number;
  /** IFF_UP: administratively up. */
  up: boolean;
  /** IFF_RUNNING: carrier present. */
  running: boolean;
  loopback: boolean;
  /** IFLA_GROUP; 0 is the default group. */
  group: number;
  /** IFLA_IFALIAS, up to 255 bytes. */
  alias?: string;
  /** IFLA_ALT_IFNAME, each up to 127 bytes. */
  altNames: string[];
  /** Index of the bridge or bond that this link is a port of. */
  master?: number;
  /** IFLA_LINK: for a veth the index of its peer, in the peer's own namespace. */
  peerIndex?: number;
  /** IFLA_LINK_NETNSID: the id of the peer's namespace as seen from this one; absent when it is the same one. */
  peerNamespaceId?: number;
  vxlan?: Vxlan;
  /** Absent where the kernel, or this device, lacks the family. */
  ipv4?: Ipv4DeviceSettings;
  ipv6?: Ipv6DeviceSettings;
};

/** IFLA_VXLAN_*: the attributes that Fairlead sets or compares. They cannot change while the device lives. */
export type Vxlan = {
  /** 24-bit network identifier. */
  vni: number;
  /** UDP destination port. */
  port: number;
  /** Source address of the outer header. */
  local?: Ip;
  /** Index of the interface whose addresses and MTU the tunnel follows. */
  lowerIndex?: number;
  learning: boolean;
  /** Checksum in the outer UDP header over IPv4 (IFLA_VXLAN_UDP_CSUM). */
  udpChecksum?: boolean;
};

/** What a new link shall be. `index` chooses its number, so that it need not be looked up. */
export type NewLink = {
  index?: number;
  name: string;
  mac?: Mac;
  mtu?: number;
  group?: number;
  up?: boolean;
  kind: { type: 'veth'; peer: VethPeer } | ({ type: 'vxlan' } & Vxlan) | { type: 'bridge' } | { type: 'ifb' };
};

/**
 * The other end of a veth, made directly in its namespace: moving it there afterwards costs 30 ms. It is down; the
 * kernel cannot bring it up in the same request (veth_open: ENOTCONN).
 */
export type VethPeer = {
  name: string;
  index?: number;
  mac?: Mac;
  mtu?: number;
  /** An open file descriptor of the target namespace; absent means the namespace of the socket. */
  namespaceFd?: number;
};

/** A change of an existing link. Absent fields stay as they are. */
export type LinkChange = {
  index: number;
  name?: string;
  mac?: Mac;
  mtu?: number;
  up?: boolean;
  group?: number;
  /** An empty text removes the alias. */
  alias?: string;
  master?: number;
  /** IFLA_PROTO_DOWN is not touched; IPv4 per-device settings by IFLA_AF_SPEC (linux/inetdevice.h numbers). */
  ipv4?: Partial<Ipv4DeviceSettings>;
};

/** The IPv4 per-device settings that matter to a pod network (IPV4_DEVCONF_*). */
export type Ipv4DeviceSettings = {
  forwarding: boolean;
  /** Reverse path filter: 0 off, 1 strict, 2 loose; the kernel applies the larger of this and `all`. */
  rpFilter: 0 | 1 | 2;
  proxyArp: boolean;
  acceptRedirects: boolean;
  /** Whether 127.0.0.0/8 is routed over this device. */
  routeLocalnet: boolean;
  sendRedirects: boolean;
};

/** The same for IPv6 (DEVCONF_* of linux/ipv6.h). Netlink tells them; only files under /proc/sys change them. */
export type Ipv6DeviceSettings = {
  disabled: boolean;
  /** Router advertisements: 0 never, 1 unless the device forwards, 2 always. */
  acceptRa: number;
  acceptRedirects: boolean;
  /** Addresses by advertised prefixes. */
  autoconf: boolean;
  proxyNdp: boolean;
};

/** RTM_NEWADDR. */
export type Address = {
  linkIndex: number;
  ip: Ip;
  prefixLength: number;
  /** `global` 0, `link` 253, `host` 254 (rtnetlink.h rt_scope_t). */
  scope: number;
  /** IFA_F_NODAD and friends as the kernel gives them. */
  flags?: number;
};

/** RTM_NEWROUTE of type unicast, or of a type that discards. */
export type Route = {
  destination: Cidr;
  /** 254 is main. */
  table: number;
  /** Who installed it (rtnetlink.h RTPROT_*): Fairlead's own number marks its own routes. */
  protocol: number;
  type: 'unicast' | 'blackhole' | 'unreachable' | 'prohibit' | 'other';
  /** `universe` 0, `link` 253, `host` 254. */
  scope: number;
  gateway?: Ip;
  /** Absent for routes without a device. */
  linkIndex?: number;
  /** RTA_PREFSRC: source address of the host's own packets. */
  source?: Ip;
  /** RTA_PRIORITY; absent means 0 (for IPv6 the kernel makes it 1024). */
  metric?: number;
  /** RTAX_MTU in bytes. */
  mtu?: number;
  /** RTNH_F_ONLINK: the gateway is taken to be on the link. */
  onLink?: boolean;
};

/** RTM_NEWNEIGH of family AF_INET or AF_INET6. */
export type Neighbor = {
  linkIndex: number;
  ip: Ip;
  mac?: Mac;
  /** NUD_* bits; 0x80 is permanent. */
  state: number;
};

/** RTM_NEWNEIGH of family AF_BRIDGE on a VXLAN device: which tunnel end has this MAC (NTF_SELF). */
export type FdbEntry = {
  linkIndex: number;
  mac: Mac;
  /** NDA_DST: address of the tunnel end. */
  destination?: Ip;
  state: number;
};

/** RTM_NEWRULE (linux/fib_rules.h). */
export type Rule = {
  family: IpFamily;
  priority: number;
  table: number;
  /** FRA_PROTOCOL: who installed it. */
  protocol: number;
  from?: Cidr;
  to?: Cidr;
  inputLink?: string;
  fwmark?: number;
  fwmask?: number;
  /** FIB_RULE_INVERT: it means what it does not name. */
  inverted?: true;
};

/** RTM_NEWQDISC: how a link queues what leaves by it, or where filters for what comes in have their place. */
export type Qdisc = {
  linkIndex: number;
  /** What it hangs on: ROOT_PARENT, INGRESS_PARENT or a class. */
  parent: number;
  /** TCA_KIND: `tbf`, `clsact`, `noqueue` … */
  kind: string;
  tbf?: TokenBucket;
};

/** A token bucket (linux/pkt_sched.h, TCA_TBF_*). Sizes are those of frames, with their 14 bytes of Ethernet. */
export type TokenBucket = {
  /** Bytes per second. */
  rate: number;
  /**
   * Bytes that may pass at once. The kernel tells it back as a time, in 32 bits of 64 ns: rounded, and without the
   * whole rounds of 275 seconds.
   */
  burst: number;
  /** Bytes that may wait; what comes then is dropped. */
  limit: number;
};

/** RTM_NEWTFILTER: hands everything that a link receives to another link, as if that one sent it (act_mirred). */
export type Redirect = {
  linkIndex: number;
  /** Lower ones come first; 1 to 65,535. */
  priority: number;
  /** Index of the other link; 0 when that one is gone, and then everything is dropped. */
  to: number;
};

/** RTM_NEWNETCONF: forwarding and reverse path filter per device, or `all` and `default`. */
export type NetworkConfiguration = {
  family: IpFamily;
  scope: { link: number } | 'all' | 'default';
  forwarding?: boolean;
  rpFilter?: number;
};

/** NUD_PERMANENT and NUD_NOARP of linux/neighbour.h. */
export const NUD_PERMANENT = 0x80;
export const NUD_NOARP = 0x40;
/** TC_H_ROOT and TC_H_CLSACT of linux/pkt_sched.h: parents of the queue of what leaves, and of that place of filters. */
export const ROOT_PARENT = 0xffffffff;
export const INGRESS_PARENT = 0xfffffff1;
/** rtnetlink.h. */
export const MAIN_TABLE = 254;
export const SCOPE_UNIVERSE = 0;
export const SCOPE_LINK = 253;
export const SCOPE_HOST = 254;
