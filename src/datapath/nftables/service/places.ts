/** The places of endpoints in their lists: those that stay keep theirs, so that one more or less is one element. */
import type { Endpoint } from '../../../plan/service/table.ts';

/** @returns the endpoints without a gap: who came takes the place of who went, and then the last ones fill what is left. */
export function place(before: readonly Endpoint[], now: readonly Endpoint[]): readonly Endpoint[] {
  if (before.length === 0) return now;
  const wanted = new Map(now.map((endpoint) => [keyOf(endpoint), endpoint]));
  const places: (Endpoint | undefined)[] = [];
  for (const endpoint of before) {
    const key = keyOf(endpoint);
    places.push(wanted.get(key));
    wanted.delete(key);
  }
  const coming = [...wanted.values()];
  for (const [index, endpoint] of places.entries())
    if (endpoint === undefined && coming.length > 0) places[index] = coming.shift();
  places.push(...coming);
  const placed: Endpoint[] = [];
  while (places.length > 0) {
    const first = places[placed.length];
    if (placed.length >= places.length) break;
    if (first !== undefined) placed.push(first);
    else fill(places, placed.length);
  }
  return placed;
}

/** The last one moves here; what lies behind is cut off. */
function fill(places: (Endpoint | undefined)[], index: number): void {
  while (places.length > index && places.at(-1) === undefined) places.pop();
  if (places.length <= index) return;
  places[index] = places.pop();
}

function keyOf({ ip, port }: Endpoint): string {
  return `${ip} ${port}`;
}
