/** Settings of the node that pods need, as a part: one that fails is a problem by name. */
import type { Configuration } from '../../base/config/configuration.ts';
import { describeError } from '../../base/errors/errors.ts';
import type { Ip, IpFamily } from '../../base/ip/ip.ts';
import type { Logger } from '../../base/log/logger.ts';
import type { Clock } from '../../base/run/clock.ts';
import type { Part } from '../../base/run/part.ts';
import type { Kernel } from '../../edge/netlink/kernel.ts';
import type { Sysctls } from '../../edge/sysctl/sysctls.ts';
import { type Changed, ensureSysctls, nodeSysctls, openSettingsRecord } from './sysctl.ts';
import { uplinkNames } from './uplinks.ts';

export type SettingsState = {
  families: readonly IpFamily[];
  /** By which devices hold them this node is reached. */
  nodeIps: readonly Ip[];
};

/** What was set otherwise before is kept in a file, from which `fairlead cleanup` restores it. */
export type NodeSettings = Part<SettingsState> & {
  /** Keeps for cleanup what another part has set. */
  remember(changed: readonly Changed[]): void;
  /** While that cannot be saved: one sentence. */
  readonly problem: string | undefined;
  [Symbol.dispose](): void;
};

export type NodeSettingsOptions = {
  kernel: Kernel;
  openSysctls: (folder: string) => Sysctls;
  configuration: () => Configuration;
  log: Logger;
  clock: Clock;
};

export function createNodeSettings(options: NodeSettingsOptions): NodeSettings {
  const { kernel, openSysctls, configuration, log, clock } = options;
  const record = openSettingsRecord(configuration().paths.stateDirectory, log, clock);
  return {
    set: async (latest) => {
      const { families, nodeIps } = latest();
      const sysctls = openSysctls(configuration().paths.sysctlDirectory);
      const unread: string[] = [];
      const uplinks = () => {
        try {
          return uplinkNames(kernel, nodeIps);
        } catch (error) {
          unread.push(
            `IPv6: by which devices this node is reached cannot be read (${describeError(error)}), so none is set to go on taking router advertisements`,
          );
          return [];
        }
      };
      const { changed, problems } = ensureSysctls(nodeSysctls(families, uplinks, sysctls), sysctls);
      for (const { name, value, was } of changed)
        log.warn('a setting of the node was not as it must be', { sysctl: name, was, now: value });
      record.remember(changed);
      return { problems: [...unread, ...problems], retried: [] };
    },
    // Settings are read each time.
    invalidate: () => undefined,
    remember: (changed) => record.remember(changed),
    get problem() {
      return record.problem;
    },
    [Symbol.dispose]: () => record[Symbol.dispose](),
  };
}
