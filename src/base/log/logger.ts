/** Structured, levelled logs on stderr: what was decided, and why. One line each, as JSON or as text for people. */
import { describeError } from '../errors/errors.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export const LOG_FORMATS = ['json', 'text'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogFormat = (typeof LOG_FORMATS)[number];
export type LogFields = Readonly<Record<string, unknown>>;

export type Logger = {
  [L in LogLevel]: (message: string, fields?: LogFields) => void;
} & {
  /** A logger that adds these fields to every line; it follows its parent's level and format. */
  child: (fields: LogFields) => Logger;
};

export type LogSettings = { level: LogLevel; format: LogFormat };

/** @param settings read at every line, so that a change takes effect at once. */
export function createLogger(
  settings: Readonly<LogSettings>,
  write: (line: string) => void = (line) => void process.stderr.write(line),
  bound: LogFields = {},
): Logger {
  const log = (level: LogLevel) => (message: string, fields?: LogFields) => {
    if (LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(settings.level)) return;
    const all = { ...bound, ...fields };
    write(`${settings.format === 'json' ? asJson(level, message, all) : asText(level, message, all)}\n`);
  };
  return {
    debug: log('debug'),
    info: log('info'),
    warn: log('warn'),
    error: log('error'),
    child: (fields) => createLogger(settings, write, { ...bound, ...fields }),
  };
}

function asJson(level: LogLevel, message: string, fields: LogFields): string {
  return stringify({ time: new Date().toISOString(), level, message, ...fields });
}

function asText(level: LogLevel, message: string, fields: LogFields): string {
  const words = Object.entries(fields).map(([name, value]) => {
    const text = typeof value === 'string' ? value : stringify(value);
    return `${name}=${/[\s"=]/.test(text) ? JSON.stringify(text) : text}`;
  });
  return [new Date().toISOString(), level.toUpperCase().padEnd(5), message, ...words].join(' ');
}

/** Never throws, whatever a field holds. */
function stringify(value: unknown): string {
  const above: unknown[] = [];
  return (
    JSON.stringify(value, function (this: unknown, _, field: unknown) {
      while (above.length > 0 && above.at(-1) !== this) above.pop();
      if (field instanceof Error) {
        const { code } = field as NodeJS.ErrnoException;
        return code === undefined ? describeError(field) : `${describeError(field)} (${code})`;
      }
      if (typeof field === 'bigint') return String(field);
      if (typeof field !== 'object' || field === null) return field;
      if (above.includes(field)) return '(circular)';
      above.push(field);
      return field instanceof Set ? [...field] : field instanceof Map ? Object.fromEntries(field) : field;
    }) ?? 'undefined'
  );
}
