/** Settings of the node that pods need, as an input of a resync: one that fails is a problem by name. */
import type { Configuration } from '../config/configuration.ts';
import { describeError } from '../errors/errors.ts';
import { cidrFamily } from '../ip/cidr.ts';
import type { Logger } from '../log/logger.ts';
import { type Changed, ensureSysctls, nodeSysctls, type Sysctl } from './sysctl.ts';

/** Each setting by itself: one that the kernel lacks, or that may not be written, leaves the others and all else. */
export function ensureSettings(
  { podNetwork, paths }: Configuration,
  log: Logger,
): { changed: Changed[]; problems: string[] } {
  const changed: Changed[] = [];
  const problems: string[] = [];
  const attempt = (what: string, task: () => void) => {
    try {
      task();
    } catch (error) {
      problems.push(`${what}: ${describeError(error)}`);
    }
  };
  const wanted: Sysctl[] = [];
  for (const family of new Set(podNetwork.map(cidrFamily)))
    attempt(`the settings of IPv${family} cannot be read, so its packets may not be forwarded`, () => {
      wanted.push(...nodeSysctls([family]));
    });
  for (const sysctl of wanted)
    attempt(
      `${sysctl.name} must be ${sysctl.value}, and cannot be set; set it, or make it writable for the agent`,
      () => changed.push(...ensureSysctls([sysctl], paths.sysctlDirectory)),
    );
  for (const { name, value, was } of changed)
    log.warn('a setting of the node was not as it must be', {
      sysctl: name,
      was,
      now: value,
    });
  return { changed, problems };
}
