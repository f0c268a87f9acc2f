/** The last good view of the node, kept on disk so that pods start while the cluster's record cannot be read. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openStateFile, type StateFile } from '../../base/files/state-file.ts';
import { parseCidr } from '../../base/ip/cidr.ts';
import { parseIp } from '../../base/ip/ip.ts';
import type { Logger } from '../../base/log/logger.ts';
import type { Clock } from '../../base/run/clock.ts';
import type { NodeView } from './node-view.ts';

const FILE = 'node.json';

/** Whose view it is: a disk that was cloned starts under another name, and must not take the range of its origin. */
export type NodeIdentity = { name: string; uid: string };
export type NodeRecord = NodeView & { node: NodeIdentity };

export function openNodeRecord(directory: string, log: Logger, clock?: Clock): StateFile<NodeRecord> {
  return openStateFile(join(directory, FILE), log, undefined, clock);
}

/**
 * @param name of this node. A record that names none was written by 0.1.0, and counts.
 * @returns undefined where there is none of this node, or none that can be read: then the cluster's record is waited for.
 */
export function loadNodeView(directory: string, name: string): NodeView | undefined {
  try {
    const record = JSON.parse(readFileSync(join(directory, FILE), 'utf8')) as Record<
      keyof NodeRecord,
      unknown
    >;
    const { node, ranges, nodeIps, mtu } = record;
    if (node !== undefined && Reflect.get(Object(node), 'name') !== name) return undefined;
    if (!Array.isArray(ranges) || !Array.isArray(nodeIps) || typeof mtu !== 'number') return undefined;
    return {
      ranges: ranges.map((range) => parseCidr(String(range))),
      nodeIps: nodeIps.map((ip) => parseIp(String(ip))),
      mtu,
    };
  } catch {
    return undefined;
  }
}
