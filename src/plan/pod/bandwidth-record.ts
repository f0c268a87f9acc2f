/** Limits of a pod as alternative names of the host's end of its veth, beside those of its ports. */
import type { Bandwidth, Rate } from '../../edge/cni/capability/bandwidth.ts';

const DIRECTIONS = ['ingress', 'egress'] as const;

/** As in `fl0123456789ab.ingress.10000000.800000`: bits per second, then bits at once. */
export function formatBandwidthNames(linkName: string, bandwidth: Bandwidth): string[] {
  return DIRECTIONS.flatMap((direction) => {
    const limit = bandwidth[direction];
    return limit === undefined ? [] : [[linkName, direction, limit.rate, limit.burst].join('.')];
  });
}

/** @returns undefined where nothing is limited; names that say something else are none. */
export function parseBandwidthNames(linkName: string, names: readonly string[]): Bandwidth | undefined {
  const bandwidth: Bandwidth = {};
  for (const name of names) {
    const [head, direction, rate = '', burst = '', ...rest] = name.split('.');
    const known = DIRECTIONS.find((candidate) => candidate === direction);
    if (head !== linkName || known === undefined || rest.length > 0) continue;
    const limit = parseLimit(rate, burst);
    if (limit !== undefined) bandwidth[known] = limit;
  }
  return Object.keys(bandwidth).length === 0 ? undefined : bandwidth;
}

function parseLimit(rate: string, burst: string): Rate | undefined {
  const isNumber = (text: string) => /^[1-9]\d{0,15}$/.test(text) && Number(text) <= Number.MAX_SAFE_INTEGER;
  return isNumber(rate) && isNumber(burst) ? { rate: Number(rate), burst: Number(burst) } : undefined;
}
