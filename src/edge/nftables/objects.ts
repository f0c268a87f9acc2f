/** What an nftables table holds, as values (nft(8), "TABLES", "CHAINS", "SETS"). */

export type Table = {
  family: 'inet' | 'ip' | 'ip6' | 'netdev';
  name: string;
  /** Named ones, which rules count with; each keeps what it counted as long as it is there. */
  counters?: readonly string[];
  sets: readonly NftSet[];
  chains: readonly Chain[];
};

/** A set, or with `value` a map, or with `value: 'verdict'` a verdict map. */
export type NftSet = {
  name: string;
  /** Types of the key, concatenated where several: `ipv4_addr`, `inet_proto`, `inet_service`. */
  key: readonly NftType[];
  value?: readonly NftType[] | 'verdict';
  /** Whether elements are ranges. */
  interval?: boolean;
  elements: readonly Element[];
};

export type NftType = 'ipv4_addr' | 'ipv6_addr' | 'inet_proto' | 'inet_service' | 'mark' | 'ifname';

/** Parts of a key in the order of its types, as nft writes them: `10.244.0.0/16`, `tcp`, `8080`. */
export type Element = { key: readonly string[]; value?: readonly string[] | Verdict };

export type Verdict = { verdict: 'accept' | 'drop' | 'return' } | { verdict: 'jump' | 'goto'; chain: string };

export type Chain = {
  name: string;
  /** Present in a base chain, which the kernel calls. */
  hook?: BaseChain;
  rules: readonly Rule[];
};

export type BaseChain = {
  type: 'filter' | 'nat' | 'route';
  hook: 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';
  /** A number, or a name with an offset as in nft(8): `raw`, `dstnat`, `filter`, `srcnat`. */
  priority: string;
  policy?: 'accept' | 'drop';
};

/** @property match expressions and statements in nft's words. */
export type Rule = { match: string; comment?: string };
