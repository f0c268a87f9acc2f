/** Queues and redirects of the fake kernel. */

import { burstTicks, TICK_ROUND } from '../codec/qdisc.ts';
import { INGRESS_PARENT, type Qdisc, type Redirect } from '../objects.ts';
import { type Answer, emit, type FakeNamespace } from './fake-state.ts';

export function replaceQdisc(namespace: FakeNamespace, qdisc: Qdisc, author: number): Answer {
  const { linkIndex, parent, kind, tbf } = qdisc;
  if (!namespace.links.has(linkIndex)) return 'ENODEV';
  if (kind === 'clsact' && parent !== INGRESS_PARENT) return 'EOPNOTSUPP';
  if (kind !== 'clsact' && parent === INGRESS_PARENT) return 'EINVAL';
  if (kind === 'tbf' && (tbf === undefined || tbf.burst === 0)) return 'EINVAL';
  // The burst as the kernel tells it.
  const told = (bucket: NonNullable<typeof tbf>) =>
    Math.round(((burstTicks(bucket) % TICK_ROUND) / 1e9) * 64 * bucket.rate);
  const made = tbf === undefined ? qdisc : { ...qdisc, tbf: { ...tbf, burst: told(tbf) } };
  const others = namespace.qdiscs.filter((other) => other.linkIndex !== linkIndex || other.parent !== parent);
  namespace.qdiscs = [...others, made];
  emit(namespace, { kind: 'queue', change: 'new', linkIndex }, author);
  return undefined;
}

export function replaceRedirect(namespace: FakeNamespace, redirect: Redirect, author: number): Answer {
  const { linkIndex, priority, to } = redirect;
  if (!namespace.links.has(linkIndex)) return 'ENODEV';
  const hasPlace = namespace.qdiscs.some((qdisc) => qdisc.linkIndex === linkIndex && qdisc.kind === 'clsact');
  if (!hasPlace) return 'EINVAL';
  if (!namespace.links.has(to)) return 'ENODEV';
  const others = namespace.redirects.filter(
    (other) => other.linkIndex !== linkIndex || other.priority !== priority,
  );
  namespace.redirects = [...others, redirect];
  emit(namespace, { kind: 'queue', change: 'new', linkIndex }, author);
  return undefined;
}
