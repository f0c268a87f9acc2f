/** Versions of the CNI specification. */
import { CniError, quote } from './errors.ts';

export const CNI_VERSIONS = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;
export type CniVersion = (typeof CNI_VERSIONS)[number];

/** What a configuration without `cniVersion` is of (specification 0.1.0). */
const UNSTATED = '0.1.0';

export function parseVersion(value: unknown): CniVersion {
  const version = value === undefined ? UNSTATED : value;
  const known = CNI_VERSIONS.find((candidate) => candidate === version);
  if (known !== undefined) return known;
  throw new CniError(
    'INCOMPATIBLE_VERSION',
    `cniVersion: ${quote(version)}${value === undefined ? ', which a configuration without one is of,' : ''} is not supported; ` +
      `use one of ${CNI_VERSIONS.join(', ')}`,
    `supported versions: ${CNI_VERSIONS.join(', ')}`,
  );
}

/** Whether `version` is at least `least`: the list is in order. */
export function isAtLeast(version: CniVersion, least: CniVersion): boolean {
  return CNI_VERSIONS.indexOf(version) >= CNI_VERSIONS.indexOf(least);
}

/** The answer to VERSION. */
export function versionReply(): string {
  return JSON.stringify({ cniVersion: CNI_VERSIONS.at(-1), supportedVersions: CNI_VERSIONS });
}
