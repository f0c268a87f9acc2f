/** A lab drawn with characters. */
import { describePath } from '../src/tools/status/format.ts';
import type { LabNodeStatus, LabStatus } from './status.ts';

/** Beyond this many nodes the paths are counted instead of drawn one by one. */
const MOST_DRAWN = 8;

export function drawText(status: LabStatus): string {
  const { plan, nodes } = status;
  const lines: string[] = [`world ${plan.world.address}`, '  │'];
  const router = plan.subnets.map(({ gateway }) => gateway).join(', ');
  lines.push(`router ${router}`);
  for (const [index, subnet] of plan.subnets.entries()) {
    const last = index === plan.subnets.length - 1;
    lines.push(`${last ? '└' : '├'}─ ${subnet.range}`);
    const members = nodes.filter((node) => node.subnet === subnet.range);
    for (const [position, node] of members.entries()) {
      lines.push(...drawNode(status, node, last ? '   ' : '│  ', position === members.length - 1));
    }
  }
  return `${lines.join('\n')}\n`;
}

function drawNode({ pods, nodes }: LabStatus, node: LabNodeStatus, indent: string, last: boolean): string[] {
  const below = `${indent}${last ? '   ' : '│  '}`;
  const own = pods.filter((pod) => pod.node === node.name);
  const paths =
    nodes.length > MOST_DRAWN
      ? [`${below}    paths: ${node.paths}`]
      : node.peers.map(({ name, path }) => `${below}    ⇄ ${name}: ${describePath(path)}`);
  return [
    `${indent}${last ? '└' : '├'}─ ${node.name}  ${node.address}  owns ${node.ranges.join(', ') || 'no range'}`,
    ...own.map((pod) => `${below}  • ${pod.name}  ${pod.ips?.join(', ') ?? 'no address'}`),
    ...paths,
  ];
}
