/** The settings of the node's namespace that have no netlink request. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { IpFamily } from '../../base/ip/ip.ts';
import { writeStateFile } from '../node/node-record.ts';

export type Sysctl = { name: string; value: string };
/** A setting that was set, with the value that it had. */
export type Changed = Sysctl & { was: string };

const FILE = 'settings.json';

const FORWARDING = { 4: 'net.ipv4.ip_forward', 6: 'net.ipv6.conf.all.forwarding' } as const;
const FOLDER = '/proc/sys';
const IPV6_INTERFACES = `${FOLDER}/net/ipv6/conf`;

/** What a node that forwards pods' packets needs, in the order in which it is to be set. */
export function nodeSysctls(families: readonly IpFamily[]): Sysctl[] {
  return families.flatMap((family) => [
    ...(family === 6 ? keptAdvertisements() : []),
    { name: FORWARDING[family], value: '1' },
  ]);
}

/**
 * A kernel that forwards IPv6 ceases to take router advertisements, and a node that has its default route from one
 * would lose it: where they were taken they are to be taken all the same (2, Documentation/networking/ip-sysctl.rst).
 */
function keptAdvertisements(): Sysctl[] {
  if (!existsSync(IPV6_INTERFACES) || read(FORWARDING[6]) === '1') return [];
  return readdirSync(IPV6_INTERFACES)
    .map((name) => `net/ipv6/conf/${name}/accept_ra`)
    .filter((name) => read(name) === '1')
    .map((name) => ({ name, value: '2' }));
}

/**
 * Sets what differs.
 * @param folder where it is written; what is read is always this process' own.
 * @returns what had to be set, with the value that was there.
 */
export function ensureSysctls(wanted: readonly Sysctl[], folder: string): Changed[] {
  return wanted.flatMap(({ name, value }) => {
    const was = read(name);
    if (was === value) return [];
    writeFileSync(join(folder, pathOf(name)), value);
    return [{ name, value, was }];
  });
}

/** Keeps what a setting was before it was first set, so that cleanup can put it back. */
export function rememberSettings(directory: string, changed: readonly Changed[]): void {
  if (changed.length === 0) return;
  const known = rememberedSettings(directory);
  const fresh = changed.filter(({ name }) => !known.some((one) => one.name === name));
  if (fresh.length > 0) writeStateFile(directory, FILE, [...known, ...fresh]);
}

/** In the order in which they were set. @returns none where nothing was set, or nobody can tell. */
export function rememberedSettings(directory: string): Changed[] {
  try {
    const record: unknown = JSON.parse(readFileSync(join(directory, FILE), 'utf8'));
    return Array.isArray(record) ? record.filter(isChanged) : [];
  } catch {
    return [];
  }
}

/** Those that are still as they were set, last one first: what others changed since is theirs. */
export function settingsToRestore(directory: string): Changed[] {
  return rememberedSettings(directory)
    .filter(({ name, value }) => existsSync(join(FOLDER, pathOf(name))) && read(name) === value)
    .toReversed();
}

export function restoreSetting({ name, was }: Changed, folder: string): void {
  writeFileSync(join(folder, pathOf(name)), was);
}

/** Settings alone, and no other file that a name could lead to. */
function isChanged(value: unknown): value is Changed {
  if (typeof value !== 'object' || value === null) return false;
  const { name, value: set, was } = value as Partial<Record<keyof Changed, unknown>>;
  const isName = typeof name === 'string' && /^net[./]ipv[46][./]/.test(name) && !name.includes('..');
  return isName && [set, was].every((text) => typeof text === 'string' && /^\d+$/.test(text));
}

function read(name: string): string {
  return readFileSync(join(FOLDER, pathOf(name)), 'utf8').trim();
}

/** Names of interfaces may have dots: such a name comes with slashes. */
function pathOf(name: string): string {
  return name.includes('/') ? name : name.replaceAll('.', '/');
}
