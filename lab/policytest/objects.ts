/** Brings manifests into the lab's API, and waits until they are in force. */
import { setTimeout as sleep } from 'node:timers/promises';
import { FairleadError } from '../../src/base/errors/errors.ts';
import { type Fields, fieldsAt, textAt } from '../../src/base/fields/fields.ts';
import { readPoliciesDigest } from '../../src/cluster/report/policies-digest.ts';
import { isStatus } from '../../src/edge/kubernetes/api-error.ts';
import type { KubeClient } from '../../src/edge/kubernetes/client.ts';
import { digestVersions } from '../../src/plan/policy/compile/digest.ts';
import type { Manifest } from '../../src/tools/manifests/manifests.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { KINDS } from '../api/kinds.ts';
import { nodePaths } from '../state.ts';
import type { LabPlan } from '../topology.ts';

/** Kinds in the order in which they are made. */
const ORDER = [
  'Namespace',
  'NetworkPolicy',
  'ClusterNetworkPolicy',
  'Service',
  'EndpointSlice',
  'ConfigMap',
  'Pod',
];
const STEP_MS = 20;
const PATIENCE_MS = 60_000;

/** Namespaces without a manifest are made. @throws FairleadError with the manifest's place where one is refused. */
export async function applyManifests(client: KubeClient, manifests: readonly Manifest[]): Promise<void> {
  const wanted = manifests.map((manifest) => ({ ...manifest, kind: kindOf(manifest) }));
  const described = new Set(
    wanted
      .filter(({ kind }) => kind === 'Namespace')
      .map(({ value }) => textAt(fieldsAt(value, 'metadata'), 'name')),
  );
  const needed = new Set(
    wanted.map(({ value }) => textAt(fieldsAt(value, 'metadata'), 'namespace') ?? 'default'),
  );
  for (const name of needed) {
    if (described.has(name)) continue;
    await create(client, 'Namespace', { metadata: { name } }, `namespace ${name}`);
  }
  for (const kind of ORDER)
    await Promise.all(
      wanted.filter((one) => one.kind === kind).map(({ value, at }) => create(client, kind, value, at)),
    );
}

export function pathOf(kind: string, namespace: string | undefined): string {
  const { group, version, plural, namespaced } = KINDS.find((one) => one.kind === kind)!;
  const base = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  return namespaced && namespace !== undefined
    ? `${base}/namespaces/${namespace}/${plural}`
    : `${base}/${plural}`;
}

/** Resolves when all pods run, and every node enforces what the API has now. */
export async function awaitForce(plan: LabPlan, client: KubeClient): Promise<void> {
  await waitFor('the pods do not start', async () => {
    const pods = await list(client, 'Pod');
    return pods.every((pod) => textAt(fieldsAt(pod, 'status'), 'phase') === 'Running');
  });
  await waitFor('the policies do not come into force', async () => {
    const pods = [...(await list(client, 'Pod')), ...(await list(client, 'Namespace'))];
    const wanted = { policies: await readPoliciesDigest(client), pods: digestOf(pods) };
    const reached = await Promise.all(
      plan.nodes.map(async ({ name }) => {
        const { policy } = await askStatus(nodePaths(plan.options.name, name).apiSocket);
        return policy?.enforced?.policies === wanted.policies && policy.enforced.pods === wanted.pods;
      }),
    );
    return reached.every(Boolean);
  });
}

export async function list(client: KubeClient, kind: string): Promise<Fields[]> {
  return ((await client.json({ path: pathOf(kind, undefined) })) as { items: Fields[] }).items;
}

function digestOf(objects: readonly Fields[]): string {
  return digestVersions(
    objects.map((object) => {
      const metadata = fieldsAt(object, 'metadata');
      return {
        uid: textAt(metadata, 'uid') ?? '',
        resourceVersion: textAt(metadata, 'resourceVersion') ?? '',
      };
    }),
  );
}

async function create(client: KubeClient, kind: string, value: object, at: string): Promise<void> {
  const { group, version, namespaced } = KINDS.find((one) => one.kind === kind)!;
  const metadata = fieldsAt(value as Fields, 'metadata');
  const namespace = namespaced ? (textAt(metadata, 'namespace') ?? 'default') : undefined;
  try {
    await client.json({
      method: 'POST',
      path: pathOf(kind, namespace),
      body: { ...value, apiVersion: group === '' ? version : `${group}/${version}`, kind },
    });
  } catch (error) {
    if (isStatus(error, 409) && kind === 'Namespace') return;
    throw new FairleadError('FL_USAGE', `${at}: the API refuses it`, { cause: error });
  }
}

function kindOf({ value, at }: Manifest): string {
  const kind = textAt(value, 'kind') ?? '';
  if (ORDER.includes(kind)) return kind;
  throw new FairleadError(
    'FL_USAGE',
    `${at}: kind ${JSON.stringify(kind)} is not of a policy test; it knows ${ORDER.join(', ')}`,
  );
}

async function waitFor(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + PATIENCE_MS; performance.now() < deadline; await sleep(STEP_MS))
    if (await isSo()) return;
  throw new FairleadError('FL_LAB', `${what}: look at 'fairlead lab status' and the agents' logs`);
}
