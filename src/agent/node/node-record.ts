/** The last good view of the node, kept on disk so that pods start while the cluster's record cannot be read. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCidr } from '../../base/ip/cidr.ts';
import { parseIp } from '../../base/ip/ip.ts';
import type { NodeView } from './node-view.ts';

const FILE = 'node.json';

export function saveNodeView(directory: string, view: NodeView): void {
  writeStateFile(directory, FILE, view);
}

/** Writes by rename: a crash leaves the old record or the new one. */
export function writeStateFile(directory: string, name: string, content: unknown): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, name);
  writeFileSync(`${path}.new`, `${JSON.stringify(content)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** @returns undefined where there is none, or none that can be read: then the cluster's record is waited for. */
export function loadNodeView(directory: string): NodeView | undefined {
  try {
    const record = JSON.parse(readFileSync(join(directory, FILE), 'utf8')) as Record<keyof NodeView, unknown>;
    const { ranges, nodeIps, mtu } = record;
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
