/**
 * The pods of a cluster, told apart by namespace, labels and named ports alone: selectors are asked once for each of these
 * identities, of which there are far fewer than pods. What did not change since the last look is the same object again,
 * so that whatever was derived from it can be kept.
 */
import type { Ip } from '../../../base/ip/ip.ts';
import { runToEnd, type Slices } from '../../../base/run/slices.ts';
import type { Labels, PodPeer, PolicyNamespace, PolicyPod } from '../parse/objects.ts';
import { meets } from '../parse/selector.ts';
import { nameOf } from './clause.ts';
import { openIndex } from './label-index.ts';

export type Identity = {
  namespace: string;
  labels: Labels;
  ports: PolicyPod['ports'];
  ips: readonly Ip[];
};

/** The pods that a peer means. */
export type Selection = { key: string; identities: ReadonlySet<Identity> };

export type Population = {
  identityOf(pod: PolicyPod): Identity | undefined;
  identityAt(ip: Ip): Identity | undefined;
  /** Whose an address is: of several pods the one that is attached here, else not being deleted, else the newer one. */
  ownerOf(ip: Ip): PolicyPod | undefined;
  /** Addresses that several pods claim, the one that counts last. */
  clashes(): readonly { ip: Ip; pods: readonly PolicyPod[] }[];
  /** Labels of a namespace without a manifest are none. */
  namespaceLabels(namespace: string): Labels;
  /** Those that have ports with names. */
  withNamedPorts(): Selection;
  /** @param ownNamespace of the policy, for a peer that names none. */
  select(peer: PodPeer, ownNamespace: string): Selection;
};

export type Census = {
  /** @returns the population as it is now; the one before is of no use any more. */
  take(pods: readonly PolicyPod[], namespaces: readonly PolicyNamespace[]): Slices<Population>;
};

/** Pods of one identity. */
type Group = { key: string; identity: Identity; pods: Set<PolicyPod>; stale: boolean };
/** @property round of the last look at which it was there. */
type Known = { group: Group; round: number };
type Members = { selection: Selection; groups: Set<Group>; holds: (group: Group) => boolean; stale: boolean };

/** Pods that are looked at in one step. */
const LOOKED_AT_A_TIME = 2048;

export function openCensus(): Census {
  const known = new Map<PolicyPod, Known>();
  const groupOf = (pod: PolicyPod) => known.get(pod)?.group;
  let round = 0;
  const groups = new Map<string, Group>();
  /** Who claims an address, and last whose it is: the same on every node but for what is attached there. */
  const owners = new Map<Ip, PolicyPod[]>();
  const clashing = new Set<Ip>();
  const selections = new Map<string, Members>();
  const index = openIndex<Group>();
  let asked = new Set<string>();
  let labelsOf = new Map<string, Labels>();

  const ownerOf = (ip: Ip) => owners.get(ip)?.at(-1);
  const doubt = (pod: PolicyPod | undefined) => {
    const group = pod === undefined ? undefined : groupOf(pod);
    if (group !== undefined) group.stale = true;
  };
  const enter = (pod: PolicyPod) => {
    const key = `${pod.namespace} ${textOf(pod.labels)} ${textOf(pod.ports)}`;
    let group = groups.get(key);
    if (group === undefined) {
      const { namespace, labels, ports } = pod;
      group = { key, identity: { namespace, labels, ports, ips: [] }, pods: new Set(), stale: true };
      groups.set(key, group);
      index.add(group, group.identity);
      for (const members of selections.values()) if (members.holds(group)) members.groups.add(group);
    }
    group.pods.add(pod);
    group.stale = true;
    known.set(pod, { group, round });
    for (const ip of pod.podIPs) {
      const before = owners.get(ip);
      if (before === undefined) {
        owners.set(ip, [pod]);
        continue;
      }
      doubt(before.at(-1));
      owners.set(ip, [...before, pod].toSorted(compareClaims));
      clashing.add(ip);
    }
  };
  const leave = (pod: PolicyPod, group: Group) => {
    group.pods.delete(pod);
    group.stale = true;
    known.delete(pod);
    for (const ip of pod.podIPs) {
      const left = owners.get(ip)!.filter((owner) => owner !== pod);
      if (left.length === 0) owners.delete(ip);
      else owners.set(ip, left);
      if (left.length < 2) clashing.delete(ip);
      doubt(ownerOf(ip));
    }
  };
  /** What anything changed in becomes a new object. */
  const renew = () => {
    const changed = [...groups.values()].filter(({ stale }) => stale);
    for (const group of changed) {
      const ips = [...group.pods].flatMap((pod) => pod.podIPs.filter((ip) => ownerOf(ip) === pod));
      group.identity = { ...group.identity, ips };
      group.stale = false;
      if (group.pods.size > 0) continue;
      groups.delete(group.key);
      index.remove(group, group.identity);
    }
    for (const members of selections.values()) {
      for (const group of changed) {
        if (!members.groups.has(group)) continue;
        members.stale = true;
        if (group.pods.size === 0) members.groups.delete(group);
      }
      if (members.stale) members.selection = selectionOf(members.selection.key, members.groups);
      members.stale = false;
    }
  };
  /** Who belongs to a namespace whose labels changed may belong to other selections now. */
  const relabel = (namespaces: readonly PolicyNamespace[]) => {
    const before = labelsOf;
    labelsOf = new Map(namespaces.map(({ name, labels }) => [name, labels]));
    const relabelled = [...new Set([...before.keys(), ...labelsOf.keys()])].filter(
      (name) => before.get(name) !== labelsOf.get(name),
    );
    if (relabelled.length === 0) return;
    const meant = new Set(relabelled);
    for (const group of groups.values()) {
      if (!meant.has(group.identity.namespace)) continue;
      for (const members of selections.values()) {
        if (members.holds(group) === members.groups.has(group)) continue;
        if (!members.groups.delete(group)) members.groups.add(group);
        members.stale = true;
      }
    }
  };
  const select = (
    key: string,
    holds: (group: Group) => boolean,
    among: () => Iterable<Group> = () => groups.values(),
  ): Selection => {
    let members = selections.get(key);
    if (members === undefined) {
      const held = new Set([...among()].filter(holds));
      members = { selection: selectionOf(key, held), groups: held, holds, stale: false };
      selections.set(key, members);
    }
    asked.add(key);
    return members.selection;
  };

  const population: Population = {
    identityOf: (pod) => groupOf(pod)?.identity,
    identityAt: (ip) => {
      const owner = ownerOf(ip);
      return owner === undefined ? undefined : groupOf(owner)!.identity;
    },
    ownerOf,
    clashes: () => [...clashing].map((ip) => ({ ip, pods: owners.get(ip)! })),
    namespaceLabels: (namespace) => labelsOf.get(namespace) ?? NO_LABELS,
    withNamedPorts: () => select('named ports', ({ identity }) => identity.ports.length > 0),
    select: ({ namespaces, pods }, ownNamespace) =>
      select(
        namespaces === undefined
          ? `${ownNamespace} ${textOf(pods)}`
          : `* ${textOf(namespaces)} ${textOf(pods)}`,
        ({ identity: { namespace, labels } }) =>
          meets(labels, pods) &&
          (namespaces === undefined
            ? namespace === ownNamespace
            : meets(population.namespaceLabels(namespace), namespaces)),
        () => index.find(pods, namespaces === undefined ? ownNamespace : undefined) ?? groups.values(),
      ),
  };
  return {
    *take(pods, namespaces) {
      // What was not asked for last time is a policy's that is gone.
      for (const key of selections.keys()) if (!asked.has(key)) selections.delete(key);
      asked = new Set();
      relabel(namespaces);
      round++;
      // Marked, and not collected: most of ten thousand are as they were, and this is asked with every pod that starts.
      const entering: PolicyPod[] = [];
      let [staying, looked] = [0, 0];
      for (const pod of pods) {
        if (++looked % LOOKED_AT_A_TIME === 0) yield;
        const one = known.get(pod);
        if (one !== undefined && one.round !== round) {
          one.round = round;
          staying++;
        } else if (one === undefined && hasNetwork(pod)) entering.push(pod);
      }
      yield;
      if (staying < known.size)
        for (const [pod, one] of known) if (one.round !== round) leave(pod, one.group);
      yield;
      for (const pod of entering) {
        if (known.has(pod)) continue;
        enter(pod);
        yield;
      }
      renew();
      yield;
      return population;
    },
  };
}

export function populate(pods: readonly PolicyPod[], namespaces: readonly PolicyNamespace[]): Population {
  return runToEnd(openCensus().take(pods, namespaces));
}

/** Whether it has addresses of its own, and still has them. */
export function hasNetwork({ hostNetwork, phase }: PolicyPod): boolean {
  return !hostNetwork && phase !== 'Succeeded' && phase !== 'Failed';
}

const NO_LABELS: Labels = Object.freeze({});

function selectionOf(key: string, groups: ReadonlySet<Group>): Selection {
  return { key, identities: new Set([...groups].map(({ identity }) => identity)) };
}

const texts = new WeakMap<object, string>();

/** An object that was seen is not looked into again: labels and ports are shared by many pods. */
function textOf(value: object): string {
  let text = texts.get(value);
  if (text === undefined) texts.set(value, (text = JSON.stringify(value)));
  return text;
}

/** Of two pods with one address: the one that counts comes last. */
export function compareClaims(a: PolicyPod, b: PolicyPod): number {
  const strength = ({ attached = false, deleting = false, created = 0 }: PolicyPod) =>
    [Number(attached), Number(!deleting), created] as const;
  const [first, second] = [strength(a), strength(b)];
  const differing = first.findIndex((one, index) => one !== second[index]);
  if (differing >= 0) return first[differing]! - second[differing]!;
  return nameOf(a) < nameOf(b) ? -1 : nameOf(a) > nameOf(b) ? 1 : 0;
}
