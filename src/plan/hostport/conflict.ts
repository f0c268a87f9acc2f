/** Two pods cannot have one port of the node. */
import { overlap, type PortMapping } from '../../edge/cni/capability/port-mapping.ts';

/** @returns the first of the wanted mappings that leads elsewhere already, and who has it. */
export function findConflict<Holder extends { portMappings?: readonly PortMapping[] }>(
  wanted: readonly PortMapping[],
  holders: Iterable<Holder>,
): { mapping: PortMapping; holder: Holder } | undefined {
  if (wanted.length === 0) return undefined;
  for (const holder of holders) {
    for (const held of holder.portMappings ?? []) {
      const mapping = wanted.find(
        ({ protocol, hostPort, hostIp }) =>
          protocol === held.protocol && hostPort === held.hostPort && overlap(hostIp, held.hostIp),
      );
      if (mapping !== undefined) return { mapping, holder };
    }
  }
  return undefined;
}
