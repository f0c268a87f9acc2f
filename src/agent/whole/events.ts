/** What may happen to a node. */
import { parseCidr } from '../../base/ip/cidr.ts';
import { parseIp } from '../../base/ip/ip.ts';
import type { ClusterNode } from '../../plan/node/cluster-node.ts';
import { nodeRecord } from '../fake/fake-node.ts';

/** Pods that come and go, by number. */
export const PODS = 5;

export type Action =
  | { do: 'ADD' | 'DEL' | 'CHECK' | 'lose its namespace' | 'lose its link'; pod: number }
  | { do: 'GC' | 'wait for the calls' | 'forget refusals' | 'start' | 'flap' | 'lose the tunnel' }
  | { do: 'turn'; ms: number }
  | { do: 'kill'; calls: number }
  | { do: 'peer'; peer: number; as: keyof typeof PEERS }
  | { do: 'own record'; there: boolean }
  | { do: 'policies'; of: readonly number[] }
  | { do: 'pod objects'; of: readonly number[] }
  | { do: 'lose an entry'; kind: 'route' | 'neighbor' | 'fdb'; nth: number }
  | { do: 'foreign tables'; what: 'nat' | 'no nat' | 'flush ours' | 'flush policies' | 'alter ours' }
  | { do: 'refuse'; what: keyof typeof REFUSALS }
  | { do: 'API'; away: boolean }
  | { do: 'state folder'; full: boolean };

/** How a peer's record may be; the first is as it should be. */
export const PEERS = {
  well: (peer: number) => nodeRecord(peer),
  moved: (peer: number) => nodeRecord(peer, { internalIps: [parseIp(`192.168.1.${peer + 100}`)] }),
  far: (peer: number) => nodeRecord(peer, { internalIps: [parseIp(`10.1.${peer}.1`)] }),
  ranged: (peer: number) => nodeRecord(peer, { podCidrs: [parseCidr(`10.244.${peer + 100}.0/24`)] }),
  thief: (peer: number) => nodeRecord(peer, { podCidrs: [parseCidr('10.244.0.0/24')] }),
  twin: (peer: number) => nodeRecord(peer, { internalIps: [parseIp('192.168.1.2')] }),
  broadcast: (peer: number) => nodeRecord(peer, { internalIps: [parseIp('192.168.1.255')] }),
  nowhere: (peer: number) => nodeRecord(peer, { internalIps: [] }),
  renewed: (peer: number) => nodeRecord(peer, { uid: `another-${peer}` }),
  gone: () => undefined,
} satisfies Record<string, (peer: number) => ClusterNode | undefined>;

/** By what a call's name begins with. */
export const REFUSALS = {
  'links cannot be listed': [/^kernel\.links/, 'EAGAIN'],
  'a link cannot be read': [/^kernel\.link$/, 'ENOBUFS'],
  'entries cannot be listed': [/^kernel\.readEntries/, 'ENOBUFS'],
  'addresses cannot be listed': [/^kernel\.addresses/, 'EAGAIN'],
  'routes are refused': [/^kernel\.apply route/, 'EPERM'],
  'links are refused': [/^kernel\.apply link/, 'EPERM'],
  'neighbors are refused': [/^kernel\.apply (neighbor|fdb)/, 'ENOBUFS'],
  'nothing is deleted': [/^kernel\.apply link\.deleteGroup/, 'EBUSY'],
  'pods refuse': [/^pod\.apply/, 'EINVAL'],
  'nftables refuses tables': [/^nftables\.(replace|amend|remove)/, 'EBUSY'],
  'nftables refuses elements': [/^nftables\.change/, 'ENOBUFS'],
  'nftables cannot be read': [/^nftables\.(read|foreignNat|baseChains|counts)/, 'EPERM'],
  'settings are refused': [/^sysctl\./, 'EROFS'],
  'connections stay': [/^conntrack/, 'EPERM'],
} satisfies Record<string, [RegExp, string]>;
