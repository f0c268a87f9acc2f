/** Settings of Fairlead's own links as a part: they go with their links. */

import type { Configuration } from '../../base/config/configuration.ts';
import type { IpFamily } from '../../base/ip/ip.ts';
import type { Known } from '../../base/known.ts';
import type { Logger } from '../../base/log/logger.ts';
import type { Part } from '../../base/run/part.ts';
import type { Kernel } from '../../edge/netlink/kernel.ts';
import type { Link } from '../../edge/netlink/objects.ts';
import type { Sysctls } from '../../edge/sysctl/sysctls.ts';
import type { LiveAttachment } from '../node/attachments.ts';
import { LinkSettler } from './link-settler.ts';
import { writeSysctls } from './sysctl.ts';

export type LinksState = {
  attachments: readonly LiveAttachment[];
  /** Of the pod network. */
  families: readonly IpFamily[];
};

export type LinksOptions = {
  kernel: Kernel;
  openSysctls: (folder: string) => Sysctls;
  configuration: () => Configuration;
  log: Logger;
  /** Not known: pods' links are as they were looked at last. */
  dumped: () => Known<{ links: readonly Link[] }>;
};

export function createLinks({
  kernel,
  openSysctls,
  configuration,
  log,
  dumped,
}: LinksOptions): Part<LinksState> {
  const settler = new LinkSettler(kernel);
  return {
    set: async (latest) => {
      const sysctls = openSysctls(configuration().paths.sysctlDirectory);
      const dump = dumped();
      const { mended, problems } = settler.settle({
        ...latest(),
        links: dump.known ? dump.links : undefined,
        write: (wanted) => writeSysctls(wanted, sysctls),
      });
      for (const setting of mended) log.info('a link was not set as it must be', { setting });
      return { problems, retried: [] };
    },
    // Links are read by the network's part.
    invalidate: () => undefined,
  };
}
