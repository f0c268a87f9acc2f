/** Whether a container is ready, from the answers to its readinessProbe. Source: core/v1 Probe as documented. */
import { type Fields, fieldsAt, isFields, listAt, textAt } from '../api/storage/object.ts';

export type ReadinessProbe = {
  question:
    | { by: 'exec'; command: readonly string[] }
    | { by: 'tcp'; port: number }
    | { by: 'http'; port: number; path: string; headers: readonly string[] }
    /** What the lab cannot ask: it is answered by no. */
    | { by: 'nothing'; why: string };
  initialDelayMs: number;
  periodMs: number;
  timeoutMs: number;
  successThreshold: number;
  failureThreshold: number;
  /** Absent: the pod's own address. */
  host?: string;
};

export type Readiness = {
  ready: boolean;
  /** Answers in a row that say otherwise than `ready`. */
  others: number;
  /** Milliseconds since 1970; absent before the first question. */
  askedAt?: number;
};

/** Not ready until the first answer says so. */
export const UNASKED: Readiness = { ready: false, others: 0 };

/** @returns undefined where the container has none: then it is ready as long as it runs. */
export function readinessProbeOf(container: unknown): ReadinessProbe | undefined {
  const probe = fieldsAt(container, 'readinessProbe');
  if (Object.keys(probe).length === 0) return undefined;
  const number = (field: string, otherwise: number) => Number(textAt(probe, field) || otherwise);
  const host = textAt(probe, 'httpGet', 'host') || textAt(probe, 'tcpSocket', 'host');
  return {
    question: questionOf(container, probe),
    initialDelayMs: number('initialDelaySeconds', 0) * 1000,
    periodMs: number('periodSeconds', 10) * 1000,
    timeoutMs: number('timeoutSeconds', 1) * 1000,
    successThreshold: number('successThreshold', 1),
    failureThreshold: number('failureThreshold', 3),
    ...(host === '' ? {} : { host }),
  };
}

/** @param startedAt of the container, as `now` milliseconds since 1970. */
export function isDue(
  probe: ReadinessProbe,
  { askedAt }: Readiness,
  startedAt: number,
  now: number,
): boolean {
  if (now < startedAt + probe.initialDelayMs) return false;
  return askedAt === undefined || now >= askedAt + probe.periodMs;
}

export function afterAnswer(probe: ReadinessProbe, before: Readiness, yes: boolean): Readiness {
  const { ready } = before;
  if (yes === ready) return { ...before, others: 0 };
  const others = before.others + 1;
  const enough = others >= (yes ? probe.successThreshold : probe.failureThreshold);
  return enough ? { ...before, ready: yes, others: 0 } : { ...before, others };
}

function questionOf(container: unknown, probe: Fields): ReadinessProbe['question'] {
  if (isFields(probe['exec'])) return { by: 'exec', command: listAt(probe, 'exec', 'command').map(String) };
  const kind = isFields(probe['httpGet']) ? 'httpGet' : 'tcpSocket';
  if (!isFields(probe[kind]))
    return { by: 'nothing', why: 'the lab asks by exec, httpGet and tcpSocket alone' };
  const said = textAt(probe, kind, 'port');
  const named = listAt(container, 'ports').find((port) => textAt(port, 'name') === said);
  const port = Number(named === undefined ? said : textAt(named, 'containerPort'));
  if (!(port > 0)) return { by: 'nothing', why: `the container has no port ${said}` };
  if (kind === 'tcpSocket') return { by: 'tcp', port };
  if (textAt(probe, kind, 'scheme') === 'HTTPS') return { by: 'nothing', why: 'the lab asks by no HTTPS' };
  const headers = listAt(probe, kind, 'httpHeaders').map(
    (header) => `${textAt(header, 'name')}: ${textAt(header, 'value')}`,
  );
  return { by: 'http', port, path: textAt(probe, kind, 'path') || '/', headers };
}
