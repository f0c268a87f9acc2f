/** Opens and closes the ports of the node that lead to a pod, without waiting for the next resync. */

import { describeError } from '../../base/errors/errors.ts';
import type { Ip } from '../../base/ip/ip.ts';
import type { Logger } from '../../base/log/logger.ts';
import type { Datapath } from '../../datapath/datapath.ts';
import type { FlowFilter } from '../../edge/conntrack/flush.ts';
import { udpFlowsBefore, udpFlowsOf } from '../../plan/hostport/plan.ts';
import type { Attachment } from '../../plan/pod/attachment.ts';
import { describeAttachment } from '../../plan/pod/attachment.ts';

export type HostPorts = {
  /** @throws when they cannot be opened; then none is. */
  open(attachment: Attachment): Promise<void>;
  /** Whatever fails is logged, and left to a resync. */
  close(attachment: Attachment): Promise<void>;
  /** Whether the kernel holds all of them. */
  areOpen(attachment: Attachment): boolean;
};

export type HostPortsOptions = {
  datapath: Pick<Datapath, 'changePorts' | 'hasPorts'>;
  /** Addresses of the node, of all its interfaces. */
  localIps: () => readonly Ip[];
  forget: (flows: readonly FlowFilter[]) => Promise<void>;
  resync: () => void;
  log: Logger;
};

export function createHostPorts({ datapath, localIps, forget, resync, log }: HostPortsOptions): HostPorts {
  return {
    open: async (attachment) => {
      if (!hasPorts(attachment)) return;
      await datapath.changePorts('add', attachment);
      // What was sent to the port before is remembered as meant for the node itself, or for the pod before.
      // The addresses of a node with many pods are a long list: only who needs them asks for them.
      if (hasUdp(attachment)) await forget(udpFlowsBefore(attachment, localIps()));
    },
    close: async (attachment) => {
      if (!hasPorts(attachment)) return;
      const attempts = [
        () => datapath.changePorts('delete', attachment),
        () => forget(udpFlowsOf(attachment)),
      ];
      for (const attempt of attempts) {
        try {
          await attempt();
        } catch (error) {
          log.warn('ports of a pod could not be closed at once', {
            what: describeAttachment(attachment),
            reason: describeError(error),
          });
          resync();
        }
      }
    },
    areOpen: (attachment) => !hasPorts(attachment) || datapath.hasPorts(attachment),
  };
}

function hasUdp({ portMappings = [] }: Attachment): boolean {
  return portMappings.some(({ protocol }) => protocol === 'udp');
}

function hasPorts({ portMappings = [] }: Attachment): boolean {
  return portMappings.length > 0;
}
