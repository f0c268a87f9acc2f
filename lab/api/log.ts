/** `pods/NAME/log`: what a container has written, as much of it as is asked for, and what it goes on writing. */
import type { Api } from './api.ts';
import { ApiFailure } from './request/failure.ts';
import type { Target } from './request/request.ts';
import { at, listAt, textAt } from './storage/object.ts';
import { requireObject } from './write.ts';

export type Log = {
  text: Buffer;
  /** Present where it is to be followed; ends by itself with the container. */
  follow?: (write: (more: Buffer) => void, end: () => void) => { [Symbol.dispose](): void };
};

/** Milliseconds between looks at a log that is followed. */
const LOOK_MS = 100;

/** What only a log with the times of its lines could answer, and this one has none. */
const WITHOUT_TIMES = ['timestamps', 'sinceSeconds', 'sinceTime'] as const;

/** @throws ApiFailure where there is no such pod, container, or answer. */
export function openLog(api: Api, target: Target, search: URLSearchParams): Log {
  const pod = requireObject(api, target);
  const { namespace = '', name = '' } = target;
  const container = containerOf(pod, name, search.get('container') ?? '');
  if (isSet(search, 'previous'))
    throw new ApiFailure(
      'BadRequest',
      `previous terminated container ${JSON.stringify(container)} in pod ${JSON.stringify(name)} not found: the lab keeps one log for all starts of a container`,
    );
  for (const option of WITHOUT_TIMES)
    if (isSet(search, option))
      throw new ApiFailure('BadRequest', `${option}: logs of the lab have no times; leave it out`);
  // A pod that is the lab's own, or has not started, has written nothing.
  const all = api.logs(namespace, name, container, 0) ?? Buffer.alloc(0);
  const text = limited(lastLines(all, numberOf(search, 'tailLines')), numberOf(search, 'limitBytes'));
  if (!isSet(search, 'follow')) return { text };
  let offset = all.length;
  return {
    text,
    follow: (write, end) => {
      const timer = setInterval(() => {
        const ended = hasEnded(api, target, container);
        const more = api.logs(namespace, name, container, offset) ?? Buffer.alloc(0);
        offset += more.length;
        if (more.length > 0) write(more);
        if (ended) end();
      }, LOOK_MS);
      return { [Symbol.dispose]: () => clearInterval(timer) };
    },
  };
}

function containerOf(pod: unknown, name: string, asked: string): string {
  const names = listAt(pod, 'spec', 'containers').map((entry) => textAt(entry, 'name'));
  const container = asked === '' ? names[0]! : asked;
  if (names.includes(container)) return container;
  throw new ApiFailure(
    'BadRequest',
    `container ${container} is not valid for pod ${name}; it has ${names.join(', ')}`,
  );
}

function hasEnded(api: Api, { kind, namespace, name = '' }: Target, container: string): boolean {
  const pod = api.store.get(kind, namespace, name);
  const status = listAt(pod, 'status', 'containerStatuses').find((one) => textAt(one, 'name') === container);
  return pod === undefined || at(status, 'state', 'terminated') !== undefined;
}

function lastLines(text: Buffer, lines: number | undefined): Buffer {
  if (lines === undefined) return text;
  let start = text.length;
  // A line feed at the end ends the last line; each one before it begins a later one.
  for (let left = lines; left > 0 && start > 0; left--)
    start = start < 2 ? 0 : text.lastIndexOf('\n', start - 2) + 1;
  return text.subarray(start);
}

function limited(text: Buffer, bytes: number | undefined): Buffer {
  return bytes === undefined ? text : text.subarray(0, bytes);
}

function numberOf(search: URLSearchParams, name: string): number | undefined {
  const text = search.get(name);
  if (text === null || text === '') return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new ApiFailure('BadRequest', `${name}: ${JSON.stringify(text)} is not a number`);
}

function isSet(search: URLSearchParams, name: string): boolean {
  return !['', 'false', '0'].includes(search.get(name) ?? '');
}
