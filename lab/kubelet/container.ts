/** One container of a pod as the lab keeps it: a process, how often it was started, how it ended. */
import { type Fields, isFields, listAt, textAt } from '../api/storage/object.ts';

export type Container = {
  name: string;
  pid?: number;
  /** RFC 3339. */
  startedAt: string;
  restarts: number;
  /** How it ended, while it is not running. */
  ended?: Ending;
  /** How it ended the time before. */
  last?: Ending;
};

export type Ending = { exitCode: number; reason: string; startedAt: string; finishedAt: string };

export type Step = 'runs' | 'start' | 'done' | { waitMs: number };

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30_000;

/** What is to be done about it. @param now milliseconds since 1970. */
export function nextStep(container: Container, restartPolicy: string, now: number): Step {
  if (container.ended === undefined) return container.pid === undefined ? 'start' : 'runs';
  const again =
    restartPolicy === 'Always' || (restartPolicy === 'OnFailure' && container.ended.exitCode !== 0);
  if (!again) return 'done';
  const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(container.restarts, 10));
  const left = Date.parse(container.ended.finishedAt) + wait - now;
  return left <= 0 ? 'start' : { waitMs: left };
}

/** Program and arguments, with `$(NAME)` replaced; undefined where the image's own would run. */
export function commandOf(
  container: unknown,
  environment: Readonly<Record<string, string>>,
): string[] | undefined {
  const words = [...listAt(container, 'command'), ...listAt(container, 'args')].map(String);
  if (words.length === 0) return undefined;
  return words.map((word) =>
    word.replaceAll(/\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)/g, (all, name: string | undefined) => {
      if (name === undefined) return '$';
      return environment[name] ?? all;
    }),
  );
}

/** What `env` says, values of the pod's own fields among it; references to anything else are left out. */
export function environmentOf(
  container: unknown,
  pod: Fields,
  ip: string,
  hostIp: string,
): Record<string, string> {
  const fields: Readonly<Record<string, string>> = {
    'metadata.name': textAt(pod, 'metadata', 'name'),
    'metadata.namespace': textAt(pod, 'metadata', 'namespace'),
    'metadata.uid': textAt(pod, 'metadata', 'uid'),
    'spec.nodeName': textAt(pod, 'spec', 'nodeName'),
    'status.podIP': ip,
    'status.hostIP': hostIp,
  };
  const entries = listAt(container, 'env').flatMap((variable): [string, string][] => {
    const name = textAt(variable, 'name');
    if (!isFields(variable) || !isFields(variable['valueFrom'])) return [[name, textAt(variable, 'value')]];
    const value = fields[textAt(variable, 'valueFrom', 'fieldRef', 'fieldPath')];
    return value === undefined ? [] : [[name, value]];
  });
  return Object.fromEntries(entries);
}
