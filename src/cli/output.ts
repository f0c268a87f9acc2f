/** `-o json`, which programs read; people get text. */
import { type Options, usageError } from './command.ts';

export const OUTPUT_OPTION = { output: { type: 'string', short: 'o' } } as const;
export const OUTPUT_HELP = { output: 'json: everything, for programs' } as const;

/** Writes the value as asked. @throws FairleadError where the option is something else. */
export function print<T>({ output }: Options, value: T, format: (value: T) => string): void {
  if (output !== undefined && output !== 'json')
    throw usageError(`--output: ${JSON.stringify(output)} does not fit; use json`);
  process.stdout.write(output === 'json' ? `${JSON.stringify(value, null, 2)}\n` : format(value));
}
