/** Settings of the node that pods need, as an input of a resync: one that fails is a problem by name. */
import type { Configuration } from '../../base/config/configuration.ts';
import { describeError } from '../../base/errors/errors.ts';
import { cidrFamily } from '../../base/ip/cidr.ts';
import type { Logger } from '../../base/log/logger.ts';
import type { Sysctls } from '../../edge/sysctl/sysctls.ts';
import { type Changed, ensureSysctls, nodeSysctls } from './sysctl.ts';

/** @param uplinks names of the node's devices to others; it may fail as the kernel does. */
export function ensureSettings(
  { podNetwork }: Configuration,
  uplinks: () => readonly string[],
  sysctls: Sysctls,
  log: Logger,
): { changed: Changed[]; problems: string[] } {
  const problems: string[] = [];
  const known = () => {
    try {
      return uplinks();
    } catch (error) {
      problems.push(
        `IPv6: by which devices this node is reached cannot be read (${describeError(error)}), so none is set to go on taking router advertisements`,
      );
      return [];
    }
  };
  const wanted = nodeSysctls(podNetwork.map(cidrFamily), known, sysctls);
  const ensured = ensureSysctls(wanted, sysctls);
  for (const { name, value, was } of ensured.changed)
    log.warn('a setting of the node was not as it must be', { sysctl: name, was, now: value });
  return { changed: ensured.changed, problems: [...problems, ...ensured.problems] };
}
