/** The settings of the node's namespace that have no netlink request. */
import { readFileSync, writeFileSync } from 'node:fs';

export type Sysctl = { name: string; value: string };

/** What a node that forwards pods' packets needs. */
export const NODE_SYSCTLS: readonly Sysctl[] = [{ name: 'net.ipv4.ip_forward', value: '1' }];

/**
 * Sets what differs.
 * @returns what had to be set, with the value that was there.
 */
export function ensureSysctls(wanted: readonly Sysctl[]): (Sysctl & { was: string })[] {
  return wanted.flatMap(({ name, value }) => {
    const path = `/proc/sys/${name.replaceAll('.', '/')}`;
    const was = readFileSync(path, 'utf8').trim();
    if (was === value) return [];
    writeFileSync(path, value);
    return [{ name, value, was }];
  });
}
