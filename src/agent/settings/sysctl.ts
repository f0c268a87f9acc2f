/** Settings of the node: which there shall be, and what they were before, for cleanup. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeError } from '../../base/errors/errors.ts';
import { openStateFile } from '../../base/files/state-file.ts';
import type { IpFamily } from '../../base/ip/ip.ts';
import type { Logger } from '../../base/log/logger.ts';
import type { Clock } from '../../base/run/clock.ts';
import { errorCode } from '../../edge/netlink/codec/errno.ts';
import type { NetworkNamespace } from '../../edge/netlink/namespace.ts';
import type { Sysctl, Sysctls } from '../../edge/sysctl/sysctls.ts';

/** A setting that was set, with the value that it had. */
export type Changed = Sysctl & { was: string };

const FILE = 'settings.json';

const FORWARDING = { 4: 'net.ipv4.ip_forward', 6: 'net.ipv6.conf.all.forwarding' } as const;

/**
 * What a node that forwards pods' packets needs, in the order in which it is to be set. A kernel that forwards IPv6
 * ceases to take router advertisements, and a node that has its default route from one would lose it: on its uplinks
 * they are taken all the same (2, Documentation/networking/ip-sysctl.rst), and on no other device.
 * @param uplinks names of the devices by which the node has routes from advertisements, or its own addresses.
 */
export function nodeSysctls(
  families: readonly IpFamily[],
  uplinks: () => readonly string[],
  sysctls: Sysctls,
): Sysctl[] {
  return [...new Set(families)].flatMap((family) => [
    ...(family === 6 ? keptAdvertisements(uplinks, sysctls) : []),
    { name: FORWARDING[family], value: '1' },
  ]);
}

function keptAdvertisements(uplinks: () => readonly string[], sysctls: Sysctls): Sysctl[] {
  if (tryRead(FORWARDING[6], sysctls) !== '0') return [];
  return uplinks()
    .map((link) => `net/ipv6/conf/${link}/accept_ra`)
    .filter((name) => tryRead(name, sysctls) === '1')
    .map((name) => ({ name, value: '2' }));
}

/**
 * Sets what differs. What cannot be read or set stops nothing else.
 * @returns what had to be set, with the value that was there; and a sentence for each that cannot be as it must.
 */
export function ensureSysctls(
  wanted: readonly Sysctl[],
  sysctls: Sysctls,
): { changed: Changed[]; problems: string[] } {
  const changed: Changed[] = [];
  const problems: string[] = [];
  for (const { name, value } of wanted) {
    let was: string | undefined;
    try {
      was = sysctls.read(name);
      if (was === value) continue;
      sysctls.write({ name, value });
      changed.push({ name, value, was });
    } catch (error) {
      problems.push(describeRefusal({ name, value }, was, error));
    }
  }
  return { changed, problems };
}

/**
 * Writes settings, which need not be looked at before.
 * @param namespace the process' own where absent.
 * @returns one sentence for each that cannot be set.
 */
export function writeSysctls(
  settings: readonly Sysctl[],
  sysctls: Sysctls,
  namespace?: Pick<NetworkNamespace, 'fd'>,
): string[] {
  return settings.flatMap((setting) => {
    try {
      sysctls.write(setting, namespace);
      return [];
    } catch (error) {
      return [describeRefusal(setting, undefined, error)];
    }
  });
}

/** @param was undefined where it was not read, or cannot be. */
function describeRefusal({ name, value }: Sysctl, was: string | undefined, error: unknown): string {
  const family = /^net.ipv6/.test(name) ? 'IPv6' : 'IPv4';
  const must = `${family}: ${name} must be ${value}`;
  if (errorCode(error) === 'ENOENT')
    return `${must}, but this kernel has no such setting: boot it with ${family}, or take ${family} out of podNetwork`;
  const state = was === undefined ? 'cannot be set' : `is ${was} and cannot be set`;
  return (
    `${must}, but ${state} (${errorCode(error) ?? describeError(error)}): set it on the node, in /etc/sysctl.d, ` +
    'or let the agent write it by paths.sysctlDirectory'
  );
}

export type SettingsRecord = {
  /** Keeps what a setting was before it was first set, so that cleanup can put it back. */
  remember(changed: readonly Changed[]): void;
  readonly problem: string | undefined;
  [Symbol.dispose](): void;
};

export function openSettingsRecord(directory: string, log: Logger, clock?: Clock): SettingsRecord {
  const known = rememberedSettings(directory);
  const file = openStateFile<Changed[]>(join(directory, FILE), log, undefined, clock);
  return {
    remember: (changed) => {
      const fresh = changed.filter(({ name }) => !known.some((one) => one.name === name));
      known.push(...fresh);
      if (fresh.length > 0) file.keep(known);
    },
    get problem() {
      return file.problem;
    },
    [Symbol.dispose]: () => file[Symbol.dispose](),
  };
}

/** In the order in which they were set. @returns none where nothing was set, or the record cannot be read. */
export function rememberedSettings(directory: string): Changed[] {
  try {
    const record: unknown = JSON.parse(readFileSync(join(directory, FILE), 'utf8'));
    return Array.isArray(record) ? record.filter(isChanged) : [];
  } catch {
    return [];
  }
}

/** Those that are still as they were set, last one first: what others changed since is theirs. */
export function settingsToRestore(directory: string, sysctls: Sysctls): Changed[] {
  return rememberedSettings(directory)
    .filter(({ name, value }) => tryRead(name, sysctls) === value)
    .toReversed();
}

/** Settings alone, and no other file that a name could lead to. */
function isChanged(value: unknown): value is Changed {
  if (typeof value !== 'object' || value === null) return false;
  const { name, value: set, was } = value as Partial<Record<keyof Changed, unknown>>;
  const isName = typeof name === 'string' && /^net[./]ipv[46][./]/.test(name) && !name.includes('..');
  return isName && [set, was].every((text) => typeof text === 'string' && /^\d+$/.test(text));
}

/** @returns undefined where it cannot be read. */
function tryRead(name: string, sysctls: Sysctls): string | undefined {
  try {
    return sysctls.read(name);
  } catch {
    return undefined;
  }
}
