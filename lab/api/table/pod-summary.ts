/** A pod in a few words: how many containers are ready, why it does not run. */
import { type ApiObject, at, listAt, textAt } from '../storage/object.ts';

/** `1/2`. */
export function readyCount(pod: ApiObject): string {
  const statuses = listAt(pod, 'status', 'containerStatuses');
  const ready = statuses.filter((status) => at(status, 'ready') === true);
  return `${ready.length}/${listAt(pod, 'spec', 'containers').length}`;
}

export function restarts(pod: ApiObject): string {
  const counts = listAt(pod, 'status', 'containerStatuses').map((status) =>
    Number(textAt(status, 'restartCount') || 0),
  );
  return String(counts.reduce((sum, count) => sum + count, 0));
}

/** The phase, or what is more telling: the reason of a container that waits or ended, `Terminating`. */
export function describePod(pod: ApiObject): string {
  if (pod.metadata.deletionTimestamp !== undefined) return 'Terminating';
  let words = textAt(pod, 'status', 'reason') || textAt(pod, 'status', 'phase');
  for (const status of listAt(pod, 'status', 'containerStatuses').toReversed()) {
    const waiting = textAt(status, 'state', 'waiting', 'reason');
    const ended = textAt(status, 'state', 'terminated', 'reason');
    if (waiting !== '') words = waiting;
    else if (ended !== '') words = ended;
  }
  return words;
}
