/**
 * What is enforced on one node: its own pods are known by what is attached, before the cluster tells their addresses. One
 * that the cluster has not told of at all may be selected by any policy: until it is known, those allow it nothing. So
 * may one in a namespace that it has not told of, by policies of the cluster: they select by labels of namespaces.
 */
import { cidrContains } from '../../../base/ip/cidr.ts';
import { type Ip, ipFamily } from '../../../base/ip/ip.ts';
import type { Slices } from '../../../base/run/slices.ts';
import { DIRECTIONS, type Direction, type PolicyNode, type PolicyPod } from '../parse/objects.ts';
import { meets } from '../parse/selector.ts';
import { nameOf } from './clause.ts';
import { type Compiled, type CompiledPod, indexByIp, openCompiler, type PolicyInput } from './compile.ts';
import { keyOf, LINK_LOCAL, type Ruling } from './ruling.ts';

/** One interface of a pod of this node; without a pod it is none that a policy could mean. */
export type Attached = {
  pod?: { namespace: string; name: string };
  ips: readonly Ip[];
  /** The host's end. */
  link?: string;
};

/** This node, with all addresses that it has: policies that mean it mean those that it does not report, too. */
export type Here = { name: string; ips: readonly Ip[] };

export type NodeCompiler = {
  compile(state: PolicyInput, attached: readonly Attached[], node: Here): Slices<Compiled>;
};

export function openNodeCompiler(): NodeCompiler {
  const compiler = openCompiler();
  /** Pods of the cluster with the addresses that they have here; the same objects as long as those stay. */
  let placed = new Map<PolicyPod, PolicyPod>();
  return {
    *compile(told, attached, node) {
      const state = { ...told, nodes: withAddresses(told.nodes, node) };
      const own = ownPods(attached);
      const here = new Set<PolicyPod>();
      const before = placed;
      placed = new Map();
      const mayBeSelected = createNamespaceDoubt(state);
      const pods = state.pods.map((pod) => {
        const local = own.get(pod.namespace)?.get(pod.name);
        if (local === undefined || mayBeSelected(pod.namespace)) return pod;
        local.known = true;
        const former = before.get(pod);
        const now =
          former !== undefined && String(former.podIPs) === String(local.ips)
            ? former
            : { ...pod, podIPs: local.ips, nodeName: node.name, attached: true };
        placed.set(pod, now);
        here.add(now);
        return now;
      });
      yield;
      const compiled = yield* compiler.compile({ ...state, pods }, here);
      const unknown = [...own].flatMap(([namespace, named]) =>
        [...named].flatMap(([name, { ips, known }]) =>
          known ? [] : close(state, { namespace, name, ips, nodeName: node.name }),
        ),
      );
      const all = [...compiled.pods, ...unknown].map((one) => {
        const { links } = own.get(one.pod.namespace)!.get(one.pod.name)!;
        return links.length === 0 ? one : { ...one, links };
      });
      return { ...compiled, pods: all, byIp: indexByIp(all, compiled.population) };
    },
  };
}

/** Whether policies of the cluster may select pods of a namespace whose labels are not known. */
function createNamespaceDoubt({ namespaces, clusterPolicies }: PolicyInput): (namespace: string) => boolean {
  if (clusterPolicies.length === 0) return () => false;
  const known = new Set(namespaces.map(({ name }) => name));
  return (namespace) => !known.has(namespace);
}

type OwnPod = { ips: Ip[]; links: string[]; known: boolean };

/** There are as many as links, and none leads to any other node: those are one range (ruling.ts). */
function isLinkLocal(ip: Ip): boolean {
  return ipFamily(ip) === 6 && cidrContains(LINK_LOCAL, ip);
}

function withAddresses(nodes: readonly PolicyNode[], { name, ips }: Here): readonly PolicyNode[] {
  const own = nodes.find((node) => node.name === name) ?? { name, labels: {}, ips: [] };
  const all = {
    ...own,
    ips: [...new Set([...own.ips, ...ips])].filter((ip) => !isLinkLocal(ip)),
    here: true,
  };
  return [...nodes.filter((node) => node !== own), all];
}

function ownPods(attached: readonly Attached[]): Map<string, Map<string, OwnPod>> {
  const own = new Map<string, Map<string, OwnPod>>();
  for (const { pod, ips, link } of attached) {
    if (pod === undefined) continue;
    const named = own.get(pod.namespace) ?? new Map<string, OwnPod>();
    own.set(pod.namespace, named);
    const known = named.get(pod.name) ?? { ips: [], links: [], known: false };
    named.set(pod.name, known);
    known.ips.push(...ips);
    if (link !== undefined) known.links.push(link);
  }
  return own;
}

function close(
  { policies, clusterPolicies, namespaces }: PolicyInput,
  {
    namespace,
    name,
    ips,
    nodeName,
  }: { namespace: string; name: string; ips: readonly Ip[]; nodeName: string },
): CompiledPod[] {
  const labels = namespaces.find((one) => one.name === namespace)?.labels;
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
            rules.length > 0 && !staged && (labels === undefined || meets(labels, subject.namespaces)),
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
    nodeName,
    attached: true,
  };
  return [{ pod, ...directions }];
}
