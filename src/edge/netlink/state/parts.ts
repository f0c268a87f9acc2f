/** What of two states has to be compared, where both are made of parts most of which never change. */
import type { Entries } from './state.ts';

export type PartedStates = { desired: readonly Entries[]; actual: readonly Entries[] };

/**
 * A part that is in both, the very same object, differs in nothing, so it is left out; unless it has an entry in the
 * place of one of a part that differs: then who of the two is there now is to be decided anew.
 */
export function differingParts({ desired, actual }: PartedStates): PartedStates {
  const { missing, unwanted } = changedParts(desired, actual);
  if (missing.size + unwanted.size === 0) return { desired: [], actual: [] };
  const places = new Set<string>();
  for (const part of [...missing, ...unwanted]) eachPlace(part, (place) => void places.add(place));
  const shared = new Set(desired.filter((part) => !missing.has(part) && isIn(part, places)));
  return {
    desired: desired.filter((part) => missing.has(part) || shared.has(part)),
    actual: actual.filter((part) => unwanted.has(part) || shared.has(part)),
  };
}

/** Of thousands of parts a few have changed: what is the same at both ends is passed over. */
function changedParts(desired: readonly Entries[], actual: readonly Entries[]) {
  const shorter = Math.min(desired.length, actual.length);
  let [head, tail] = [0, 0];
  while (head < shorter && desired[head] === actual[head]) head++;
  while (tail < shorter - head && desired.at(-1 - tail) === actual.at(-1 - tail)) tail++;
  const wanted = new Set(desired.slice(head, desired.length - tail));
  const present = new Set(actual.slice(head, actual.length - tail));
  return { missing: wanted.difference(present), unwanted: present.difference(wanted) };
}

/** Less than a key, so that a few more parts are compared than must be. */
function eachPlace({ routes, neighbors, fdb }: Entries, tell: (place: string) => void): void {
  for (const { destination } of routes) tell(destination);
  for (const { ip } of neighbors) tell(ip);
  for (const { mac } of fdb) tell(mac);
}

function isIn({ routes, neighbors, fdb }: Entries, places: ReadonlySet<string>): boolean {
  for (const { destination } of routes) if (places.has(destination)) return true;
  for (const { ip } of neighbors) if (places.has(ip)) return true;
  for (const { mac } of fdb) if (places.has(mac)) return true;
  return false;
}
