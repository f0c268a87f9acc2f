/** The cluster of the upstream policy suites: namespaces x, y and z with pods a, b and c each, and the table of who reaches whom. */
import assert from 'node:assert/strict';
import { after, afterEach } from 'node:test';
import { clientOf } from '../../../lab/client.ts';
import { checkCells, hostsOf } from '../../../lab/policytest/check.ts';
import type { Expectation, TestProtocol } from '../../../lab/policytest/expectation.ts';
import { applyManifests, awaitForce, list } from '../../../lab/policytest/objects.ts';
import { formatMatrix } from '../../../lab/policytest/report.ts';
import type { Fields } from '../../../src/base/fields/fields.ts';
import { isStatus } from '../../../src/edge/kubernetes/api-error.ts';
import { startLab } from '../fixture.ts';

export const NAMESPACES = ['x', 'y', 'z'] as const;
const PODS = ['a', 'b', 'c'] as const;
/** `x/a`. */
export const NAMES = NAMESPACES.flatMap((namespace) => PODS.map((pod) => `${namespace}/${pod}`));
/** Each pod answers at these, of TCP and UDP; its ports are called `serve-80-tcp`. */
const PORTS = [80, 81] as const;

export type Labels = Record<string, string | null>;
export type Selector = { matchLabels?: Record<string, string>; matchExpressions?: object[] };

export type Question = {
  /** Default: TCP at 80. */
  ports?: readonly `${TestProtocol} ${number}`[];
  /** All else is let through. */
  denied?: (from: string, to: string, port: number, protocol: TestProtocol) => boolean;
  /** Those alone. */
  from?: readonly string[];
  to?: readonly string[];
};

export async function startWorld() {
  const plan = await startLab({ nodes: 2, pods: 0, api: true, family: 'dual' });
  const client = clientOf(plan);
  after(() => client[Symbol.dispose]());
  const namespaces = NAMESPACES.map((name) => ({
    kind: 'Namespace',
    metadata: { name, labels: { ns: name } },
  }));
  const ports = PORTS.flatMap((port) =>
    ['TCP', 'UDP', 'SCTP'].map((protocol) => ({
      name: `serve-${port}-${protocol.toLowerCase()}`,
      containerPort: port,
      protocol,
    })),
  );
  const pods = NAMES.map((full) => {
    const [namespace = '', name = ''] = full.split('/');
    return podOf(namespace, name, { pod: name }, ports);
  });
  await applyManifests(
    client,
    [...namespaces, ...pods].map((value) => ({ at: 'the world', value: value as Fields })),
  );
  await awaitForce(plan, client);

  const world = {
    plan,
    client,
    /** Puts policies of one namespace each in force. */
    put: (...policies: readonly Policy[]) =>
      applyManifests(
        client,
        policies.map(({ kind = 'NetworkPolicy', ...object }) => ({
          at: object.metadata.name,
          value: { kind, ...object } as unknown as Fields,
        })),
      ),
    remove: (namespace: string, name: string) =>
      client.json({ method: 'DELETE', path: `${pathOf(namespace)}/${name}` }),
    update: (object: Policy) =>
      client.json({
        method: 'PATCH',
        path: `${pathOf(object.metadata.namespace!)}/${object.metadata.name}`,
        contentType: 'application/merge-patch+json',
        body: { spec: object.spec },
      }),
    labelPod: (full: string, labels: Labels) => {
      const [namespace, name] = full.split('/');
      return label(`/api/v1/namespaces/${namespace}/pods/${name}`, labels);
    },
    labelNamespace: (name: string, labels: Labels) => label(`/api/v1/namespaces/${name}`, labels),
    addressOf: (name: string, family: 4 | 6 = 4) =>
      hostsOf(plan)
        .get(name)!
        .addresses.find((address) => address.includes(':') === (family === 6))!,
    inForce: () => awaitForce(plan, client),
    check: async ({
      ports: asked = ['TCP 80'],
      denied = () => false,
      from = NAMES,
      to = NAMES,
    }: Question = {}) => {
      await awaitForce(plan, client);
      const expectations = from.flatMap((one) =>
        to.flatMap((other) =>
          one === other
            ? []
            : asked.map((text): Expectation => {
                const [protocol, port] = text.split(' ') as [TestProtocol, string];
                const allow = !denied(one, other, Number(port), protocol);
                return { from: one, to: other, protocol, port: Number(port), allow, at: 'the case' };
              }),
        ),
      );
      const cells = await checkCells(plan, expectations);
      assert.ok(
        cells.every(({ passed, allow }) => passed === allow),
        formatMatrix(cells),
      );
    },
  };
  /** One that the case deleted may end between the list and this. */
  async function removePod(path: string): Promise<void> {
    await client.json({ method: 'DELETE', path }).catch((error: unknown) => {
      if (!isStatus(error, 404)) throw error;
    });
  }
  async function label(path: string, labels: Labels): Promise<void> {
    await client.json({
      method: 'PATCH',
      path,
      contentType: 'application/merge-patch+json',
      body: { metadata: { labels } },
    });
  }
  /** Whatever a case leaves is gone before the next one. */
  afterEach(async () => {
    for (const object of await list(client, 'NetworkPolicy')) {
      const { namespace, name } = object['metadata'] as { namespace: string; name: string };
      await world.remove(namespace, name);
    }
    for (const pod of await list(client, 'Pod')) {
      const { namespace, name, labels } = pod['metadata'] as {
        namespace: string;
        name: string;
        labels?: Record<string, string>;
      };
      const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
      if (!NAMES.includes(`${namespace}/${name}`)) await removePod(path);
      else if (JSON.stringify(labels) !== JSON.stringify({ pod: name }))
        await label(path, { ...blank(labels), pod: name });
    }
    for (const namespace of NAMESPACES) {
      const { metadata } = (await client.json({ path: `/api/v1/namespaces/${namespace}` })) as {
        metadata: { labels: Record<string, string> };
      };
      const { ns, 'kubernetes.io/metadata.name': _, ...more } = metadata.labels;
      if (ns !== namespace || Object.keys(more).length > 0)
        await world.labelNamespace(namespace, { ...blank(more), ns: namespace });
    }
  });
  return world;
}

export type Policy = {
  kind?: 'NetworkPolicy' | 'ClusterNetworkPolicy';
  metadata: { name: string; namespace?: string };
  spec: object;
};

/** @param types default: what there are rules for. */
export function policy(
  namespace: string,
  name: string,
  spec: { podSelector?: Selector; policyTypes?: string[]; ingress?: object[]; egress?: object[] },
): Policy {
  const { podSelector = {}, ...more } = spec;
  const policyTypes = spec.policyTypes ?? [
    ...(spec.ingress === undefined ? [] : ['Ingress']),
    ...(spec.egress === undefined ? [] : ['Egress']),
  ];
  return { metadata: { name, namespace }, spec: { podSelector, ...more, policyTypes } };
}

export function podOf(
  namespace: string,
  name: string,
  labels: object,
  ports: readonly object[] = [],
  more = {},
) {
  return {
    kind: 'Pod',
    metadata: { namespace, name, labels },
    spec: { containers: [{ name: 'main', image: 'any', ports, ...more }] },
  };
}

export const pod = (name: string): Selector => ({ matchLabels: { pod: name } });
export const ns = (name: string): Selector => ({ matchLabels: { ns: name } });
export const oneOf = (key: string, ...values: readonly string[]): Selector => ({
  matchExpressions: [{ key, operator: 'In', values }],
});
export const inNamespace = (name: string) => (full: string) => full.startsWith(`${name}/`);

function pathOf(namespace: string): string {
  return `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies`;
}

function blank(labels: Record<string, string> | undefined): Labels {
  return Object.fromEntries(Object.keys(labels ?? {}).map((key) => [key, null]));
}
