/** What the plugin prints and how it exits. */
import { describeError } from '../../../base/errors/errors.ts';
import { CNI_CODES, CniError } from '../errors.ts';
import { isObject, own } from '../json.ts';
import { CNI_VERSIONS, type CniVersion } from '../version.ts';

export type CniReply = { exitCode: 0 | 1; stdout: string };

export const SUCCESS: CniReply = { exitCode: 0, stdout: '' };

/**
 * @param stdin the configuration as it came: its version, where it can be read, is the answer's.
 */
export function errorReply(error: unknown, stdin: string): CniReply {
  const { code, message, details } =
    error instanceof CniError
      ? error
      : { code: CNI_CODES.INTERNAL, message: describeError(error), details: '' };
  const answer = {
    cniVersion: statedVersion(stdin),
    code,
    msg: message,
    ...(details === '' ? {} : { details }),
  };
  return { exitCode: 1, stdout: JSON.stringify(answer) };
}

function statedVersion(stdin: string): CniVersion {
  const newest = CNI_VERSIONS.at(-1)!;
  try {
    const configuration: unknown = JSON.parse(stdin);
    const stated = isObject(configuration) ? own(configuration, 'cniVersion') : undefined;
    return CNI_VERSIONS.find((version) => version === stated) ?? newest;
  } catch {
    return newest;
  }
}
