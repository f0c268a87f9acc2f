/**
 * Where the native parts lie: in `build/` of the project, and of the image beside its bundle. This file lies as deep in the
 * project as the bundle does there (`cmd/fairlead/main.mjs`), so one relative path leads to both.
 */
import { fileURLToPath } from 'node:url';

export type NativePart = 'fairlead.node' | 'fairlead-cni' | 'fairlead-probe';

export function nativePart(name: NativePart): string {
  return fileURLToPath(new URL(`../../build/${name}`, import.meta.url));
}
