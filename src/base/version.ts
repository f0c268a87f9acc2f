/** The version of Fairlead, as its package names it. */
import manifest from '../../package.json' with { type: 'json' };

export function versionOf(): string {
  return manifest.version;
}
