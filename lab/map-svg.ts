/** A lab drawn as an SVG: nodes in rows by their network, pods in them, paths between them. */
import type { LabNodeStatus, LabStatus } from './status.ts';

const BOX = { width: 220, gap: 60, top: 120, rowGap: 150, podHeight: 26, head: 62 } as const;
/** Nodes in one row; a larger network wraps. */
const PER_ROW = 8;
/** Pods drawn per node; of more the count is told. */
const MOST_PODS = 6;
/** Beyond this many nodes lines would only cover each other. */
const MOST_LINES = 12;
const COLORS = { direct: '#2a7d4f', vxlan: '#2456a6', none: '#b3261e' } as const;

type Placed = { node: LabNodeStatus; x: number; y: number; height: number };

export function drawSvg(status: LabStatus): string {
  const placed = place(status);
  const width = Math.max(640, ...placed.map(({ x }) => x + BOX.width + BOX.gap));
  const height = Math.max(...placed.map((box) => box.y + box.height)) + 70;
  const lines = status.nodes.length <= MOST_LINES ? drawPaths(placed) : [];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="13">`,
    '<rect width="100%" height="100%" fill="#ffffff"/>',
    text(
      BOX.gap,
      36,
      `Lab ${status.plan.options.name}: pod network ${status.plan.podNetwork.join(', ')}`,
      'font-size="18" font-weight="bold"',
    ),
    text(
      BOX.gap,
      58,
      `world ${status.plan.world.address} — router ${status.plan.subnets.map(({ gateway }) => gateway).join(', ')}`,
      'fill="#555555"',
    ),
    ...legend(height - 30),
    ...lines,
    ...placed.map((box) => drawNode(box, status)),
    ...subnetTitles(placed),
    '</svg>',
    '',
  ].join('\n');
}

function place({ nodes, plan, pods }: LabStatus): Placed[] {
  const placed: Placed[] = [];
  let y: number = BOX.top;
  for (const { range } of plan.subnets) {
    const members = nodes.filter((node) => node.subnet === range);
    for (let start = 0; start < members.length; start += PER_ROW) {
      const row = members.slice(start, start + PER_ROW).map((node, column) => {
        const shown = Math.min(pods.filter((pod) => pod.node === node.name).length, MOST_PODS + 1);
        return {
          node,
          x: BOX.gap + column * (BOX.width + BOX.gap),
          y,
          height: BOX.head + shown * BOX.podHeight + 10,
        };
      });
      placed.push(...row);
      y +=
        Math.max(...row.map(({ height }) => height)) +
        (start + PER_ROW < members.length ? BOX.gap : BOX.rowGap);
    }
  }
  return placed;
}

function drawNode({ node, x, y, height }: Placed, { pods }: LabStatus): string {
  const own = pods.filter((pod) => pod.node === node.name);
  const rows = own.slice(0, MOST_PODS).map((pod) => `${pod.name}  ${pod.ips?.[0] ?? ''}`);
  if (own.length > MOST_PODS) rows.push(`and ${own.length - MOST_PODS} more`);
  return [
    `<g><title>${escape(node.problems.join('; ') || `${node.name} is well`)}</title>`,
    `<rect x="${x}" y="${y}" width="${BOX.width}" height="${height}" rx="8" fill="#f4f6f8" stroke="${node.problems.length > 0 ? COLORS.none : '#8a949e'}"/>`,
    text(x + 14, y + 24, `${node.name}  ${node.address}`, 'font-weight="bold"'),
    text(x + 14, y + 44, node.ranges.join(', ') || 'no range', 'fill="#555555"'),
    ...rows.map((row, index) => drawPod(row, x + 12, y + BOX.head + index * BOX.podHeight)),
    '</g>',
  ].join('\n');
}

function drawPod(row: string, x: number, y: number): string {
  return `<rect x="${x}" y="${y - 4}" width="${BOX.width - 24}" height="${BOX.podHeight - 4}" rx="4" fill="#ffffff" stroke="#c4ccd4"/>${text(x + 8, y + 12, row)}`;
}

/** Each pair once, as the first of the two sees it; lines between neighbors in a row are straight, others curve above. */
function drawPaths(placed: readonly Placed[]): string[] {
  return placed.flatMap((from, index) =>
    placed.slice(index + 1).flatMap((to) => {
      const path = from.node.peers.find(({ name }) => name === to.node.name)?.path;
      if (path === undefined) return [];
      const style = `stroke="${COLORS[path.mode]}" stroke-width="2" fill="none"${path.mode === 'vxlan' ? ' stroke-dasharray="7 4"' : ''}`;
      return [
        `<path d="${curve(from, to)}" ${style}><title>${escape(`${from.node.name} – ${to.node.name}: ${path.mode}`)}</title></path>`,
      ];
    }),
  );
}

function curve(from: Placed, to: Placed): string {
  const middle = (box: Placed) => box.x + BOX.width / 2;
  if (from.y !== to.y) {
    const [x1, y1, x2, y2] = [middle(from), from.y + from.height, middle(to), to.y];
    return `M ${x1} ${y1} C ${x1} ${y1 + 70}, ${x2} ${y2 - 70}, ${x2} ${y2}`;
  }
  if (to.x - from.x <= BOX.width + BOX.gap)
    return `M ${from.x + BOX.width} ${from.y + 30} L ${to.x} ${to.y + 30}`;
  const lift = from.y - 20 - (to.x - from.x) / 40;
  return `M ${middle(from)} ${from.y} C ${middle(from)} ${lift}, ${middle(to)} ${lift}, ${middle(to)} ${to.y}`;
}

function subnetTitles(placed: readonly Placed[]): string[] {
  const firsts = [...Map.groupBy(placed, ({ node }) => node.subnet)].map(([subnet, boxes]) => ({
    subnet,
    box: boxes[0]!,
  }));
  return firsts.map(({ subnet, box }) => text(box.x, box.y - 12, subnet, 'fill="#555555"'));
}

function legend(y: number): string[] {
  return (['direct', 'vxlan', 'none'] as const).map((mode, index) => {
    const x = BOX.gap + index * 190;
    const dash = mode === 'vxlan' ? ' stroke-dasharray="7 4"' : '';
    const label = { direct: 'direct route', vxlan: 'VXLAN tunnel', none: 'no path' }[mode];
    return `<path d="M ${x} ${y} h 36" stroke="${COLORS[mode]}" stroke-width="2"${dash}/>${text(x + 44, y + 4, label)}`;
  });
}

function text(x: number, y: number, content: string, style = ''): string {
  return `<text x="${x}" y="${y}" ${style}>${escape(content)}</text>`;
}

function escape(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
