/** JSON Merge Patch (RFC 7386): objects are merged, null deletes, everything else replaces. */
import { isFields } from '../storage/object.ts';

export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isFields(patch)) return patch;
  const result = new Map(isFields(target) ? Object.entries(target) : []);
  for (const [field, change] of Object.entries(patch)) {
    if (change === null) result.delete(field);
    else result.set(field, mergePatch(result.get(field), change));
  }
  return Object.fromEntries(result);
}
