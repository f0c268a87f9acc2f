/** Services proven: each address of one, from everywhere, by the packets of its clients. */
import { setTimeout as sleep } from 'node:timers/promises';
import { askStatus } from '../../src/tools/status/ask.ts';
import { clientOf } from '../client.ts';
import { withResolver } from '../kubelet/resolver.ts';
import { ipBatch, namespacePath, run } from '../namespaces.ts';
import { SERVICE_LABEL } from '../slices/plan.ts';
import { nodePaths } from '../state.ts';
import type { LabPlan } from '../topology.ts';
import { ask, type Check, type Host, type Question } from './ask.ts';
import { type LabView, onePerNode, type PodHost } from './view.ts';

const SERVICES = '/api/v1/namespaces/default/services';
const SLICES = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices';
const PORT = 80;
/** Where the processes of pods answer. */
const PROBE_PORT = 8080;
const PROTOCOLS = ['tcp', 'udp'] as const;
/** Milliseconds that agents may take to serve a service that is new. */
const SERVED_MS = 10_000;
const STEP_MS = 100;

/** @returns why services cannot be proven in this lab; undefined where its agents serve them. */
export async function whyNoServices(plan: LabPlan): Promise<string | undefined> {
  if (!plan.options.api) return 'the lab has no API, and so no services';
  for (const { name } of plan.nodes) {
    const status = await askStatus(nodePaths(plan.options.name, name).apiSocket).catch(() => undefined);
    // What an agent that serves services tells of them.
    const { services } = (status ?? {}) as { services?: { serving?: boolean } };
    if (services?.serving !== true) return `the agent of ${name} serves no services`;
  }
  return undefined;
}

type Service = { name: string; ip: string; nodePorts: Readonly<Record<string, number>> };

export async function proveServices(lab: LabView): Promise<Check[]> {
  const backends = onePerNode(lab.pods);
  const name = `verify-${process.pid}`;
  const [first] = backends;
  if (first === undefined) return [];
  let routed: Service | undefined;
  try {
    const all = await createService(lab, name, backends);
    const own = await createService(lab, `${name}-self`, [first]);
    await awaitService(first, all, backends);
    await routeService(lab, all, 'add');
    routed = all;
    const clients: Host[] = [...backends, ...lab.nodes, lab.world];
    return [
      ...(await ask([
        ...clients.flatMap((from) => questionsOf(from, all, backends)),
        ...clients.flatMap((from) => lab.nodes.flatMap((node) => nodeQuestions(from, node, all, backends))),
        ...questionsOf(first, own, [first]),
      ])),
      ...(await proveName(lab, first, all)),
    ];
  } finally {
    if (routed !== undefined) await routeService(lab, routed, 'delete');
    await removeServices(lab.plan, [name, `${name}-self`]);
  }
}

/** Its endpoints are the pods themselves, whatever labels they have. */
async function createService(
  { plan, family }: LabView,
  name: string,
  backends: readonly PodHost[],
): Promise<Service> {
  using client = clientOf(plan);
  const ports = PROTOCOLS.map((protocol) => ({ name: protocol, protocol: protocol.toUpperCase() }));
  const ipFamilies = [`IPv${family}`];
  const body = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { type: 'NodePort', ipFamilies, ports: ports.map((port) => ({ ...port, port: PORT })) },
  };
  await client.json({
    method: 'POST',
    path: SLICES,
    body: {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name, labels: { [SERVICE_LABEL]: name } },
      addressType: ipFamilies[0],
      ports: ports.map((port) => ({ ...port, port: PROBE_PORT })),
      endpoints: backends.map(({ address, node }) => ({
        addresses: [address],
        nodeName: node,
        conditions: { ready: true },
      })),
    },
  });
  const made = (await client.json({ method: 'POST', path: SERVICES, body })) as {
    spec: { clusterIP: string; ports: { name: string; nodePort: number }[] };
  };
  const nodePorts = Object.fromEntries(made.spec.ports.map((port) => [port.name, port.nodePort]));
  return { name, ip: made.spec.clusterIP, nodePorts };
}

function questionsOf(from: Host, { name, ip }: Service, backends: readonly PodHost[]): Question[] {
  const isPod = backends.some((pod) => pod.name === from.name);
  return PROTOCOLS.map((protocol) => ({
    from,
    to: { name, namespace: '', address: ip },
    protocol,
    port: PORT,
    answeredBy: backends.map((pod) => pod.name),
    ...(isPod ? { expectSource: from.address } : {}),
  }));
}

function nodeQuestions(
  from: Host,
  node: Host,
  { name, nodePorts }: Service,
  backends: readonly PodHost[],
): Question[] {
  return PROTOCOLS.map((protocol) => ({
    from,
    to: { name: `${name} by ${node.name}`, namespace: '', address: node.address },
    protocol,
    port: nodePorts[protocol]!,
    answeredBy: backends.map((pod) => pod.name),
  }));
}

/** An agent may need a moment for what is new; what it does not serve by then is told by the checks. */
async function awaitService(from: Host, service: Service, backends: readonly PodHost[]): Promise<void> {
  for (let waited = 0; waited < SERVED_MS; waited += STEP_MS) {
    const checks = await ask(questionsOf(from, service, backends));
    if (checks.every(({ ok }) => ok)) return;
    await sleep(STEP_MS);
  }
}

/** The outside reaches a service by a static route to any of the nodes. */
async function routeService(
  { plan, nodes }: LabView,
  { ip }: Service,
  action: 'add' | 'delete',
): Promise<void> {
  await ipBatch(plan.underlay.namespace, [`route ${action} ${ip} via ${nodes[0]!.address}`]);
}

/** By its short name, as a program in the pod would find it. */
async function proveName({ plan, family }: LabView, from: PodHost, { name, ip }: Service): Promise<Check[]> {
  if (!plan.options.dns) return [];
  const lookup = withResolver(plan, from.name, ['getent', `ahostsv${family}`, name]);
  const said = await run('nsenter', [`--net=${namespacePath(from.namespace)}`, '--', ...lookup]).catch(
    () => '',
  );
  const found = said.split(/\s/)[0]!;
  const what = `${from.name} finds ${name} by its name`;
  return [
    found === ip
      ? { what, ok: true }
      : { what, ok: false, detail: `it found ${found || 'nothing'}, not ${ip}` },
  ];
}

async function removeServices(plan: LabPlan, names: readonly string[]): Promise<void> {
  using client = clientOf(plan);
  for (const path of names.flatMap((name) => [`${SERVICES}/${name}`, `${SLICES}/${name}`]))
    await client.json({ method: 'DELETE', path }).catch(() => undefined);
}
