/** Policies by the thousand, read and compiled as an agent does, as the table of one node. */
import { type Ip, ipFromBigInt, ipToBigInt, parseIp } from '../../src/base/ip/ip.ts';
import { runToEnd } from '../../src/base/run/slices.ts';
import { openRenderer } from '../../src/datapath/nftables/policy/render.ts';
import type { Table } from '../../src/edge/nftables/objects.ts';
import { openNodeCompiler } from '../../src/plan/policy/compile/node.ts';
import { openTabulator } from '../../src/plan/policy/compile/table.ts';
import type { NetworkPolicy, PolicyPod } from '../../src/plan/policy/parse/objects.ts';
import { parseNetworkPolicy } from '../../src/plan/policy/parse/parse-network-policy.ts';

/** As the bench's packets have it; UDP and TCP. */
export const PORT = 7777;
const NAMESPACE = 'bench';
const FIRST_OTHER = ipToBigInt(parseIp('10.245.0.1'));

/** One who is allowed something: a pod with a label and an address of its own, at a port of its own. */
export type Allowed = { app: string; ip: Ip; port: number; protocols: readonly ('UDP' | 'TCP')[] };

/** @returns the `index`th of many pods of the cluster that are not measured. */
export function otherIp(index: number): Ip {
  return ipFromBigInt(FIRST_OTHER + BigInt(index), 4);
}

/** Each allows another pod another port. */
export function others(count: number): Allowed[] {
  return Array.from({ length: count }, (_, index) => ({
    app: `other-${index}`,
    ip: otherIp(index),
    port: 10_000 + (index % 50_000),
    protocols: ['UDP'],
  }));
}

/** The two that are measured allow each other: where rules are read one after another it is the last one. */
export function eachOther(a: Ip, b: Ip): Allowed[] {
  return [a, b].map((ip) => ({ app: 'measured', ip, port: PORT, protocols: ['UDP', 'TCP'] }));
}

/** One policy for each, in both directions, of all pods with this label. */
export function policyEach(selected: string, allowed: readonly Allowed[], prefix = 'p'): NetworkPolicy[] {
  return allowed.map(({ app, port, protocols }, index) => {
    const peers = [{ podSelector: { matchLabels: { app } } }];
    const ports = protocols.map((protocol) => ({ protocol, port }));
    return read(`${prefix}-${index}`, {
      podSelector: { matchLabels: { app: selected } },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ from: peers, ports }],
      egress: [{ to: peers, ports }],
    });
  });
}

/** One policy that allows all of these addresses, as blocks or as pods that share a label. */
export function policyOfPeers(ips: readonly Ip[], kind: 'blocks' | 'pods', app: string): NetworkPolicy {
  const peers =
    kind === 'blocks'
      ? ips.map((ip) => ({ ipBlock: { cidr: `${ip}/32` } }))
      : [{ podSelector: { matchLabels: { app } } }];
  return read(`peers-${kind}`, {
    podSelector: { matchLabels: { app: 'measured' } },
    policyTypes: ['Ingress', 'Egress'],
    ingress: [{ from: peers }],
    egress: [{ to: peers }],
  });
}

export function podOf(app: string, ip: Ip, name: string = app): PolicyPod {
  return {
    namespace: NAMESPACE,
    name,
    labels: { app },
    podIPs: [ip],
    hostNetwork: false,
    phase: 'Running',
    ports: [],
  };
}

/** @param here pods of the node. @param elsewhere other pods of the cluster. */
export function tableOf(
  policies: readonly NetworkPolicy[],
  here: readonly PolicyPod[],
  elsewhere: readonly PolicyPod[],
): Table {
  const compiling = openNodeCompiler().compile(
    {
      pods: [...here, ...elsewhere],
      namespaces: [{ name: NAMESPACE, labels: {} }],
      policies,
      clusterPolicies: [],
      nodes: [],
    },
    here.map(({ namespace, name, podIPs }) => ({ pod: { namespace, name }, ips: podIPs })),
    { name: 'node-1', ips: [] },
  );
  return runToEnd(openRenderer().render(runToEnd(openTabulator().tabulate(runToEnd(compiling))))).table;
}

function read(name: string, spec: object): NetworkPolicy {
  const { policy, problem } = parseNetworkPolicy(NAMESPACE, name, { spec });
  if (problem !== undefined) throw new Error(problem);
  return policy;
}
