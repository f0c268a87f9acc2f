/** A logger that keeps the last thing that went wrong, and counts how many did. */
import { describeError } from '../errors/errors.ts';
import type { LogFields, Logger } from './logger.ts';

/** `at` is RFC 3339. */
export type LoggedError = { at: string; level: 'warn' | 'error'; text: string };

export type ErrorMemory = {
  log: Logger;
  readonly last: LoggedError | undefined;
  readonly counts: Readonly<Record<LoggedError['level'], number>>;
};

export function rememberErrors(log: Logger): ErrorMemory {
  let last: LoggedError | undefined;
  const counts = { warn: 0, error: 0 };
  const wrap = (inner: Logger): Logger => {
    const remember = (level: LoggedError['level']) => (message: string, fields?: LogFields) => {
      counts[level]++;
      last = { at: new Date().toISOString(), level, text: describe(message, fields) };
      inner[level](message, fields);
    };
    return {
      ...inner,
      warn: remember('warn'),
      error: remember('error'),
      child: (fields) => wrap(inner.child(fields)),
    };
  };
  return {
    log: wrap(log),
    get last() {
      return last;
    },
    counts,
  };
}

function describe(message: string, fields: LogFields = {}): string {
  const { reason } = fields;
  return reason === undefined ? message : `${message}: ${describeError(reason)}`;
}
