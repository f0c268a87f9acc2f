/** `-f`, as kubectl has it. */
import { usageError } from '../command.ts';

export const FILE_OPTION = { file: { type: 'string', short: 'f' } } as const;
export const FILE_HELP = { file: 'file or directory of manifests; several with commas between' } as const;

/** @throws FairleadError where the option is missing. */
export function filesOf(file: string | boolean | undefined): string[] {
  if (typeof file !== 'string' || file === '')
    throw usageError('-f is missing; name a file or directory of manifests');
  return file.split(',');
}
