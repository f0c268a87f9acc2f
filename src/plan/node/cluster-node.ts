/** A node of the cluster as its peers need to know it. All else about a peer is derived from this. */
import { describeError } from '../../base/errors/errors.ts';
import { type Cidr, parseCidr } from '../../base/ip/cidr.ts';
import { type Ip, parseIp } from '../../base/ip/ip.ts';

export type ClusterNode = {
  name: string;
  /** Never used again for another node, not even for one of the same name. */
  uid: string;
  /** RFC 3339: of two claims to one range the older node's counts. */
  createdAt: string;
  /** Addresses by which other nodes reach it. */
  internalIps: readonly Ip[];
  /** Ranges of its pods, at most one per family. */
  podCidrs: readonly Cidr[];
};

/** Reads an untrusted record. @returns the reason where it is none. */
export function parseNode(record: unknown): ClusterNode | { problem: string } {
  if (typeof record !== 'object' || record === null) return { problem: 'is not an object' };
  const { name, uid, createdAt, internalIps, podCidrs } = record as Record<string, unknown>;
  if (typeof name !== 'string' || !/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(name)) {
    return { problem: `name: ${JSON.stringify(name)} is not the name of a node` };
  }
  if (typeof uid !== 'string' || uid === '' || uid.length > 128)
    return { problem: 'uid: is missing or too long' };
  if (typeof createdAt !== 'string' || Number.isNaN(Date.parse(createdAt))) {
    return { problem: `createdAt: ${JSON.stringify(createdAt)} is not a time as in RFC 3339` };
  }
  try {
    return {
      name,
      uid,
      createdAt,
      internalIps: texts(internalIps, 'internalIps').map((ip) => parseIp(ip, 'internalIps')),
      podCidrs: texts(podCidrs, 'podCidrs').map((range) => parseCidr(range, 'podCidrs')),
    };
  } catch (error) {
    return { problem: describeError(error) };
  }
}

function texts(value: unknown, field: string): string[] {
  if (!Array.isArray(value) || value.length > 16 || !value.every((item) => typeof item === 'string')) {
    throw new Error(`${field}: is not a list of up to 16 texts`);
  }
  return value;
}
