/**
 * Tells pods of what policies denied to them, as Events: one for each pod, side and set of policies, that counts on. Packets
 * come by the thousand: they are gathered, and an Event is written once a minute at most.
 */

import { describeError } from '../../base/errors/errors.ts';
import type { Logger } from '../../base/log/logger.ts';
import { Runner } from '../../base/run/runner.ts';
import { isStatus } from '../../edge/kubernetes/api-error.ts';
import type { KubeClient } from '../../edge/kubernetes/client.ts';
import { eventOf, repeatOf } from '../../edge/kubernetes/event.ts';
import type { Denial } from '../../plan/flow/denial.ts';
import { formatReason } from '../../plan/flow/flow-record.ts';
import type { Pod } from '../kinds/pod.ts';

export type DenialReporter = { tell(denial: Denial): void; [Symbol.dispose](): void };

export type DenialReporterOptions = {
  client: KubeClient;
  /** Name of this one. */
  node: string;
  /** Of the cluster, as they are known now. */
  pods: () => readonly Pod[];
  isWanted: () => boolean;
  log: Logger;
  times?: Partial<DenialTimes>;
};

/** Milliseconds. */
export type DenialTimes = {
  /** In which denials are gathered before anything is written. */
  gather: number;
  /** Between two writes of one Event. */
  repeat: number;
  /** Of silence, after which the next denial is a new Event. */
  forget: number;
};

const TIMES: DenialTimes = { gather: 1000, repeat: 60_000, forget: 600_000 };
/** Of all pods: what is denied beyond that is in `fairlead drops` and the metrics alone. */
const MOST_KNOWN = 500;
/** Of one round; the others wait for the next. */
const MOST_WRITES = 20;

/** What happened to one pod by one reason. */
type Case = {
  pod: string;
  latest: Denial;
  count: number;
  /** Reports since it was last written. */
  unwritten: number;
  seenAt: number;
  writtenAt: number;
  /** Of its Event, once there is one. */
  path?: string;
};

/** @returns something that never waits and never throws. */
export function reportDenials(options: DenialReporterOptions): DenialReporter {
  const { client, node, pods, isWanted, log } = options;
  const { gather, repeat, forget } = { ...TIMES, ...options.times };
  const cases = new Map<string, Case>();
  const task = async () => {
    const now = performance.now();
    for (const [key, { seenAt, unwritten }] of cases)
      if (unwritten === 0 && now - seenAt > forget) cases.delete(key);
    const due = [...cases.values()].filter(
      ({ unwritten, writtenAt }) => unwritten > 0 && now - writtenAt >= repeat,
    );
    const failures: unknown[] = [];
    for (const one of due.slice(0, MOST_WRITES))
      await write(client, node, pods(), one).catch((error) => failures.push(error));
    if (due.length > MOST_WRITES) runner.trigger('more');
    if ([...cases.values()].some(({ unwritten }) => unwritten > 0)) runner.trigger('later', repeat);
    if (failures.length > 0) throw new AggregateError(failures, `${failures.length} could not be written`);
  };
  const runner = new Runner({
    task,
    onError: (error, retryAfterMs) =>
      log.warn('pods could not be told what was denied to them', {
        reason: describeError(error),
        retryAfterMs,
      }),
    delayMs: gather,
  });
  return {
    tell: (denial) => {
      const pod = denial.direction === 'ingress' ? denial.destinationPod : denial.sourcePod;
      if (pod === undefined || !isWanted()) return;
      const key = JSON.stringify([pod, denial.direction, denial.staged, denial.policies]);
      const known = cases.get(key);
      if (known === undefined && cases.size >= MOST_KNOWN) return;
      const seenAt = performance.now();
      const fresh = known === undefined || seenAt - known.seenAt > forget;
      const one: Case = fresh
        ? { pod, latest: denial, count: 0, unwritten: 0, seenAt, writtenAt: -Infinity }
        : known;
      cases.set(key, one);
      Object.assign(one, { latest: denial, count: one.count + 1, unwritten: one.unwritten + 1, seenAt });
      if (seenAt - one.writtenAt >= repeat) runner.trigger('denial');
      else runner.trigger('later', repeat - (seenAt - one.writtenAt));
    },
    [Symbol.dispose]: () => void runner.stop(),
  };
}

async function write(client: KubeClient, node: string, pods: readonly Pod[], one: Case): Promise<void> {
  const { latest, count } = one;
  const pod = pods.find(({ namespace, name }) => `${namespace}/${name}` === one.pod);
  const told = one.unwritten;
  // A pod that is gone has no reader.
  if (pod !== undefined && !(await repeatEvent(client, one)))
    one.path = await createEvent(client, node, pod, latest, count);
  one.unwritten -= told;
  one.writtenAt = performance.now();
}

/** @returns whether there was an Event to count on. */
async function repeatEvent(client: KubeClient, { path, latest, count }: Case): Promise<boolean> {
  if (path === undefined) return false;
  try {
    await client.json({
      method: 'PATCH',
      path,
      contentType: 'application/merge-patch+json',
      body: repeatOf(describe(latest), new Date(), count),
    });
    return true;
  } catch (error) {
    // The cluster forgets Events after an hour or so.
    if (isStatus(error, 404)) return false;
    throw error;
  }
}

/** @returns the path of the Event. */
async function createEvent(
  client: KubeClient,
  node: string,
  { namespace, name, uid }: Pod,
  denial: Denial,
  count: number,
): Promise<string> {
  const text = {
    involved: { apiVersion: 'v1', kind: 'Pod', namespace, name, uid },
    reason: denial.staged === true ? 'PolicyWouldDeny' : 'PolicyDenied',
    message: describe(denial),
    type: denial.staged === true ? 'Normal' : 'Warning',
    host: node,
  } as const;
  const event = eventOf(text, new Date(), count) as { metadata: { name: string } };
  const path = `/api/v1/namespaces/${namespace}/events`;
  await client.json({ method: 'POST', path, body: event });
  return `${path}/${event.metadata.name}`;
}

/** Without the port that the source has by chance. */
function describe({
  staged,
  protocol,
  source,
  sourcePod,
  destination,
  destinationPod,
  port,
  reason,
}: Denial): string {
  const end = (ip: string, pod: string | undefined) => (pod === undefined ? ip : `${pod} (${ip})`);
  const what = port === undefined ? protocol : `${protocol} ${port}`;
  return `${staged === true ? 'would deny' : 'denied'} ${what} ${end(source, sourcePod)} → ${end(destination, destinationPod)}: ${formatReason(reason)}`;
}
