/** The table of services: what of it is one for all, and in what words. */
import type { Ip, IpFamily } from '../../../base/ip/ip.ts';
import type { ElementChange } from '../../../edge/nftables/elements.ts';
import type { NftSet } from '../../../edge/nftables/objects.ts';

/**
 * Tables of their own, since tens of thousands of elements shall not be touched when the node's table is filled anew. Two
 * names, since a table is filled where no packet comes, and takes the other one's place at one moment: nothing of the
 * kernel's is ever read for it.
 */
export const SERVICE_TABLES = ['fairlead-services-a', 'fairlead-services-b'] as const;
export type ServiceTableName = (typeof SERVICE_TABLES)[number];

/**
 * @property declaration where a key holds the number of an endpoint: nft(8) has no name for its type. For the codec of elements
 *   it is a `mark`, four bytes in the order of the machine.
 * @property entries present where the rules themselves add elements: how many at most.
 */
export type ServiceSet = NftSet & { declaration?: string; entries?: number };

export type ServiceTableOptions = {
  families: readonly IpFamily[];
  /** Whose address stands in where the client's must give way, per family. */
  nodeIps: readonly Ip[];
  /** Source ports of what is translated are none of these: an answer would be taken for a question to a service. */
  nodePortRange: { first: number; last: number };
  /** How many clients keep their endpoints, per family. */
  affinityEntries?: number;
};

/** Elements of several sets; what is one change here is one transaction where it fits into one message. */
export type ElementStage = readonly ElementChange[];

/** What goes where in the key of an endpoint: those of the list Local, where it is another than the list Cluster. */
export const LOCAL_AREA = 0x100_0000;

export const IP_WORDS = { 4: 'ip', 6: 'ip6' } as const;
