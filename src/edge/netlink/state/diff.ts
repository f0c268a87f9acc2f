/** From what the kernel holds of ours to what it shall hold: an ordered list of operations, empty when they agree. */

import { runToEnd, type Slices, stepping } from '../../../base/run/slices.ts';
import type { Operation } from '../kernel.ts';
import type { Link, NewLink } from '../objects.ts';
import { addressKey, fdbKey, neighborKey, routeKey, ruleKey, sameFields, sameQdisc } from './identity.ts';
import type { NetworkState } from './state.ts';

/**
 * The order lets no packet meet a half-made path: devices, then forwarding entries and neighbors, then the routes
 * that use them; what is no longer wanted goes in reverse, after what replaces it is there.
 */
export function diffStates(desired: NetworkState, actual: NetworkState<Link>): Operation[] {
  return runToEnd(diffSliced(desired, actual));
}

/** {@link diffStates} of thousands of objects. */
export function* diffSliced(desired: NetworkState, actual: NetworkState<Link>): Slices<Operation[]> {
  const links = desired.links.map((link) =>
    diffLink(
      link,
      actual.links.find(({ name }) => name === link.name),
    ),
  );
  const remade = new Set(links.flatMap((link) => link.remade ?? []));
  // Deleting a device has taken everything on it along.
  const alive = <T extends { linkIndex?: number }>(objects: readonly T[]) =>
    objects.filter(({ linkIndex }) => linkIndex === undefined || !remade.has(linkIndex));
  const addresses = yield* diffObjects(desired.addresses, alive(actual.addresses), addressKey);
  const neighbors = yield* diffObjects(desired.neighbors, alive(actual.neighbors), neighborKey);
  const fdb = yield* diffObjects(desired.fdb, alive(actual.fdb), fdbKey);
  const routes = yield* diffObjects(desired.routes, alive(actual.routes), routeKey);
  const rules = yield* diffObjects(desired.rules, actual.rules, ruleKey);
  const [presentQdiscs, presentRedirects] = [alive(actual.qdiscs), alive(actual.redirects)];
  const qdiscs = desired.qdiscs.filter((qdisc) => !presentQdiscs.some((there) => sameQdisc(qdisc, there)));
  const redirects = desired.redirects.filter(
    (redirect) => !presentRedirects.some((there) => sameFields(redirect, there)),
  );
  const unwanted = actual.links.filter(({ name }) => !desired.links.some((link) => link.name === name));
  return [
    ...links.flatMap(({ operations }) => operations),
    ...qdiscs.map((qdisc): Operation => ({ op: 'qdisc.replace', qdisc })),
    ...redirects.map((redirect): Operation => ({ op: 'redirect.replace', redirect })),
    ...addresses.wanted.map((address): Operation => ({ op: 'address.replace', address })),
    ...fdb.wanted.map((entry): Operation => ({ op: 'fdb.replace', entry })),
    ...neighbors.wanted.map((neighbor): Operation => ({ op: 'neighbor.replace', neighbor })),
    ...routes.wanted.map((route): Operation => ({ op: 'route.replace', route })),
    ...rules.wanted.map((rule): Operation => ({ op: 'rule.add', rule })),
    ...rules.unwanted.map((rule): Operation => ({ op: 'rule.delete', rule })),
    ...routes.unwanted.map((route): Operation => ({ op: 'route.delete', route })),
    ...neighbors.unwanted.map((neighbor): Operation => ({ op: 'neighbor.delete', neighbor })),
    ...fdb.unwanted.map((entry): Operation => ({ op: 'fdb.delete', entry })),
    ...addresses.unwanted.map((address): Operation => ({ op: 'address.delete', address })),
    ...unwanted.map(({ index }): Operation => ({ op: 'link.delete', index })),
  ];
}

type Difference<T> = { wanted: T[]; unwanted: T[] };

/**
 * An object whose key is there with other fields is wanted again: `replace` overwrites it in place. Of several that
 * are desired under one key the first counts, and so does the first of those that were desired before: else each resync
 * would bring another of them.
 */
function* diffObjects<T extends object>(
  desired: readonly T[],
  actual: readonly T[],
  key: (object: T) => string,
): Slices<Difference<T>> {
  const there = new Map<string, T>();
  yield* stepping(actual, (object) => {
    const id = key(object);
    if (!there.has(id)) there.set(id, object);
  });
  const [wanted, unwanted, keep] = [[] as T[], [] as T[], new Set<string>()];
  yield* stepping(desired, (object) => {
    const id = key(object);
    if (keep.has(id)) return;
    keep.add(id);
    const present = there.get(id);
    if (present === undefined || !sameFields(object, present)) wanted.push(object);
  });
  yield* stepping([...there], ([id, object]) => {
    if (!keep.has(id)) unwanted.push(object);
  });
  return { wanted, unwanted };
}

/** `remade` is the index of a device that had to be deleted: its tunnel attributes cannot change while it lives. */
function diffLink(desired: NewLink, actual: Link | undefined): { operations: Operation[]; remade?: number } {
  const create: Operation = { op: 'link.create', link: desired };
  if (actual === undefined) return { operations: [create] };
  if (
    actual.kind !== desired.kind.type ||
    (desired.kind.type === 'vxlan' && !sameTunnel(desired.kind, actual))
  ) {
    return { operations: [{ op: 'link.delete', index: actual.index }, create], remade: actual.index };
  }
  const change = {
    ...(desired.mac !== undefined && desired.mac !== actual.mac ? { mac: desired.mac } : {}),
    ...(desired.mtu !== undefined && desired.mtu !== actual.mtu ? { mtu: desired.mtu } : {}),
    ...(desired.up === true && !actual.up ? { up: true } : {}),
  };
  if (Object.keys(change).length === 0) return { operations: [] };
  return { operations: [{ op: 'link.change', change: { index: actual.index, ...change } }] };
}

function sameTunnel(desired: NewLink['kind'] & { type: 'vxlan' }, actual: Link): boolean {
  const { type: _, ...attributes } = desired;
  return actual.vxlan !== undefined && sameFields(attributes, actual.vxlan);
}
