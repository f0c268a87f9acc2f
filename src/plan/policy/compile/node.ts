/**
 * What is enforced on one node: its own pods are known by what is attached, before the cluster tells their addresses. One
 * that the cluster has not told of at all may be selected by any policy: until it is known, those allow it nothing.
 */
import type { Ip } from '../../../base/ip/ip.ts';
import type { Steps } from '../../../base/run/slices.ts';
import { DIRECTIONS, type Direction, type PolicyPod } from '../parse/objects.ts';
import { meets } from '../parse/selector.ts';
import { nameOf } from './clause.ts';
import { type Compiled, type CompiledPod, indexByIp, openCompiler, type PolicyInput } from './compile.ts';
import { keyOf, type Ruling } from './ruling.ts';

/** One interface of a pod of this node; without a pod it is nobody's that a policy could mean. */
export type Attached = { pod?: { namespace: string; name: string }; ips: readonly Ip[] };

export type NodeCompiler = { compile(state: PolicyInput, attached: readonly Attached[]): Steps<Compiled> };

export function openNodeCompiler(): NodeCompiler {
  const compiler = openCompiler();
  /** Pods of the cluster with the addresses that they have here; the same objects as long as those stay. */
  let placed = new Map<PolicyPod, PolicyPod>();
  return {
    *compile(state, attached) {
      const own = ownPods(attached);
      const here = new Set<PolicyPod>();
      const before = placed;
      placed = new Map();
      const pods = state.pods.map((pod) => {
        const local = own.get(pod.namespace)?.get(pod.name);
        if (local === undefined) return pod;
        local.known = true;
        const former = before.get(pod);
        const now =
          former !== undefined && String(former.podIPs) === String(local.ips)
            ? former
            : { ...pod, podIPs: local.ips };
        placed.set(pod, now);
        here.add(now);
        return now;
      });
      yield;
      const compiled = yield* compiler.compile({ ...state, pods }, (pod) => here.has(pod));
      const unknown = [...own].flatMap(([namespace, named]) =>
        [...named].flatMap(([name, { ips, known }]) => (known ? [] : close(state, { namespace, name, ips }))),
      );
      if (unknown.length === 0) return compiled;
      const all = [...compiled.pods, ...unknown];
      return { ...compiled, pods: all, byIp: indexByIp(all) };
    },
  };
}

type OwnPod = { ips: Ip[]; known: boolean };

function ownPods(attached: readonly Attached[]): Map<string, Map<string, OwnPod>> {
  const own = new Map<string, Map<string, OwnPod>>();
  for (const { pod, ips } of attached) {
    if (pod === undefined) continue;
    const named = own.get(pod.namespace) ?? new Map<string, OwnPod>();
    own.set(pod.namespace, named);
    const known = named.get(pod.name);
    if (known === undefined) named.set(pod.name, { ips: [...ips], known: false });
    else known.ips.push(...ips);
  }
  return own;
}

function close(
  { policies, clusterPolicies, namespaces }: PolicyInput,
  { namespace, name, ips }: { namespace: string; name: string; ips: readonly Ip[] },
): CompiledPod[] {
  const labels = namespaces.find((one) => one.name === namespace)?.labels ?? {};
  const closed = (direction: Direction): Partial<Record<Direction, Ruling>> => {
    const isolatedBy = [
      ...policies
        .filter(
          (policy) => policy.namespace === namespace && policy[direction] !== undefined && !policy.staged,
        )
        .map(nameOf),
      ...clusterPolicies
        .filter(
          ({ subject, staged, [direction]: rules }) =>
            rules.length > 0 && !staged && meets(labels, subject.namespaces),
        )
        .map((policy) => policy.name),
    ];
    if (isolatedBy.length === 0) return {};
    const draft = { direction, clauses: [], isolatedBy, ownPorts: [] };
    return { [direction]: { ...draft, key: keyOf(draft) } };
  };
  const directions = Object.assign({}, ...DIRECTIONS.map(closed)) as Partial<Record<Direction, Ruling>>;
  if (Object.keys(directions).length === 0) return [];
  const pod: PolicyPod = {
    namespace,
    name,
    labels: {},
    podIPs: ips,
    hostNetwork: false,
    phase: 'Pending',
    ports: [],
  };
  return [{ pod, ...directions }];
}
