/** Makes the lab's pods what the API says: one look at both, then what is missing or too much, until nothing is. */
import { watch } from 'node:fs';
import { join } from 'node:path';
import { describeError } from '../../src/base/errors/errors.ts';
import type { Logger } from '../../src/base/log/logger.ts';
import type { Api } from '../api/api.ts';
import { removeStopped } from '../api/delete.ts';
import { recordEvent } from '../api/events.ts';
import { kindNamed } from '../api/kinds.ts';
import { type ApiObject, textAt } from '../api/storage/object.ts';
import { setField } from '../api/validation/owner.ts';
import { labDirectory, readPods } from '../state.ts';
import type { LabPlan } from '../topology.ts';
import { chooseNode, type PodAction, planPods, recordName, uidOf } from './plan.ts';
import { adoptPod, type PodWork, refreshPod, startPod, stopPod } from './pod-work.ts';
import { createProbes } from './probes.ts';
import { removeLogs } from './processes.ts';
import { removeResolver } from './resolver.ts';

/** Milliseconds: what happens together is looked at together. */
const SETTLE_MS = 10;
/** Milliseconds after which everything is looked at although nothing was told: processes end without a word. */
const POLL_MS = 1000;
/** Milliseconds before something that failed is tried again: twice as many each time, up to the longest. */
const RETRY_MS = 500;
const LONGEST_RETRY_MS = 16_000;
const MOST_AT_ONCE = 8;

export function runPods(plan: LabPlan, api: Api, logger: Logger): Disposable {
  const lab = plan.options.name;
  const kind = kindNamed('Pod');
  const nodes = new Set(plan.nodes.map(({ name }) => name));
  const busy = new Set<string>();
  const failed = new Map<string, { waitMs: number; until: number }>();
  let timer: NodeJS.Timeout | undefined;
  const trigger = () => {
    timer ??= setTimeout(look, SETTLE_MS);
  };
  const work: PodWork = { plan, api, logger, probes: createProbes(plan, api.now, trigger), trigger };

  const look = () => {
    timer = undefined;
    const [pods, records] = [api.store.list(kind), readPods(lab)];
    for (const action of planPods(pods, records, nodes)) begin(action);
    const byUid = new Map(pods.map((pod) => [pod.metadata.uid, pod]));
    for (const record of records) {
      const pod = byUid.get(uidOf(record));
      if (pod !== undefined && record.ips !== undefined && !busy.has(uidOf(record)))
        refreshPod(work, pod, record);
    }
  };

  const begin = (action: PodAction) => {
    const uid =
      action.do === 'stop' || action.do === 'adopt' ? uidOf(action.record) : action.pod.metadata.uid;
    if (busy.has(uid) || busy.size >= MOST_AT_ONCE || (failed.get(uid)?.until ?? 0) > api.now()) return;
    busy.add(uid);
    carryOut(action)
      .then(() => failed.delete(uid))
      .catch((error: unknown) => {
        const waitMs = Math.min(LONGEST_RETRY_MS, (failed.get(uid)?.waitMs ?? RETRY_MS / 2) * 2);
        failed.set(uid, { waitMs, until: api.now() + waitMs });
        logger.warn(`${action.do} failed, it is tried again`, { uid, error: describeError(error) });
      })
      .finally(() => {
        busy.delete(uid);
        trigger();
      })
      .catch(() => undefined);
  };

  const carryOut = async (action: PodAction): Promise<void> => {
    switch (action.do) {
      case 'bind':
        return bindPod(api, action.pod);
      case 'start':
        return startPod(work, action.pod);
      case 'stop':
        return stopPod(work, action.record, action.pod);
      case 'adopt':
        return adoptPod(work, action.record);
      case 'forget':
        return removeStopped(api, action.pod);
    }
  };

  const subscription = api.store.watch(({ type, kind: changed, object }) => {
    if (changed !== kind) return;
    if (type === 'DELETED') {
      failed.delete(object.metadata.uid);
      removeLogs(lab, recordName(object));
      removeResolver(lab, recordName(object));
    }
    trigger();
  });
  const directory = watch(join(labDirectory(lab), 'pods'), { persistent: false }, trigger);
  directory.on('error', () => undefined);
  const poll = setInterval(trigger, POLL_MS);
  trigger();
  return {
    [Symbol.dispose]: () => {
      subscription[Symbol.dispose]();
      directory.close();
      clearInterval(poll);
      clearTimeout(timer);
    },
  };
}

/** The scheduler of the lab. */
function bindPod(api: Api, pod: ApiObject): void {
  const node = chooseNode(pod, api.store.list(kindNamed('Node')), api.store.list(kindNamed('Pod')));
  const name = `${pod.metadata.namespace}/${pod.metadata.name}`;
  if (node === undefined) {
    const message = 'no node fits; see its nodeSelector and hostPorts, and which nodes are unschedulable';
    if (textAt(pod, 'status', 'message') === message) return;
    recordEvent(api, pod, 'Warning', 'FailedScheduling', message, 'default-scheduler');
    setField(api, pod, ['status', 'message'], message);
    return;
  }
  const bound = setField(api, pod, ['spec', 'nodeName'], node);
  if (bound !== undefined && textAt(bound, 'status', 'message') !== '')
    setField(api, bound, ['status', 'message'], undefined);
  recordEvent(
    api,
    pod,
    'Normal',
    'Scheduled',
    `Successfully assigned ${name} to ${node}`,
    'default-scheduler',
  );
}
