/** Events: what happened to an object, as `kubectl describe` tells it. The same again is counted. */
import { type Api, timeOf } from './api.ts';
import { kindNamed } from './kinds.ts';
import { type ApiObject, at, textAt } from './storage/object.ts';
import { ensureObject } from './validation/owner.ts';

/** Of the oldest the lab forgets. */
const MOST_EVENTS = 1000;

export function recordEvent(
  api: Api,
  about: ApiObject,
  type: 'Normal' | 'Warning',
  reason: string,
  message: string,
  component: string,
): void {
  const kind = kindNamed('Event');
  const { name, namespace = 'default', uid } = about.metadata;
  const home = api.store.get(kindNamed('Namespace'), undefined, namespace);
  // What ends takes no more.
  if (home === undefined || home.metadata.deletionTimestamp !== undefined) return;
  const now = timeOf(api.now());
  const same = api.store
    .list(kind, namespace)
    .find(
      (event) =>
        textAt(event, 'involvedObject', 'uid') === uid &&
        textAt(event, 'reason') === reason &&
        textAt(event, 'message') === message,
    );
  if (same !== undefined) {
    api.store.put(kind, { ...same, lastTimestamp: now, count: Number(at(same, 'count') ?? 1) + 1 });
    return;
  }
  const all = api.store.list(kind);
  if (all.length >= MOST_EVENTS) {
    const oldest = all.reduce((a, b) => (textAt(a, 'lastTimestamp') <= textAt(b, 'lastTimestamp') ? a : b));
    api.store.remove(kind, oldest);
  }
  const { kind: kindName, apiVersion, metadata } = about;
  ensureObject(api, 'Event', {
    metadata: { name: `${name}.${api.newUid().replaceAll('-', '').slice(0, 16)}`, namespace },
    involvedObject: {
      kind: kindName,
      apiVersion,
      name,
      uid,
      ...(metadata.namespace === undefined ? {} : { namespace }),
    },
    type,
    reason,
    message: message.slice(0, 1024),
    source: { component },
    reportingComponent: component,
    firstTimestamp: now,
    lastTimestamp: now,
    count: 1,
  });
}
