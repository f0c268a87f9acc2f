/** Which EndpointSlices of a service are written, so that together they say what its endpoints are, with as few writes as may be. */
import { isEqual } from '../api/patch/equal.ts';
import { type ApiObject, at, type Fields, fieldsAt, listAt, textAt } from '../api/storage/object.ts';
import type { EndpointGroup } from './endpoints.ts';

export type SliceWrite =
  | { do: 'create'; object: Fields }
  | { do: 'update'; slice: ApiObject; object: Fields }
  | { do: 'delete'; slice: ApiObject };

export type SliceContext = {
  /** RFC 3339: when the first of the changes came that these writes tell of. */
  changedAt: string;
  newName: () => string;
};

export const SERVICE_LABEL = 'kubernetes.io/service-name';
export const MANAGER_LABEL = 'endpointslice.kubernetes.io/managed-by';
export const MANAGER = 'endpointslice-controller.k8s.io';
const HEADLESS_LABEL = 'service.kubernetes.io/headless';
const CHANGED_ANNOTATION = 'endpoints.kubernetes.io/last-change-trigger-time';
const MOST_ENDPOINTS = 100;

/** @param slices all of the service that are the controller's. */
export function planSlices(
  service: ApiObject,
  groups: readonly EndpointGroup[],
  slices: readonly ApiObject[],
  context: SliceContext,
): SliceWrite[] {
  const wanted = new Set(groups.map((group) => keyOf(group.addressType, group.ports)));
  const byKey = Map.groupBy(slices, (slice) =>
    keyOf(textAt(slice, 'addressType'), listAt(slice, 'ports') as readonly Fields[]),
  );
  const others = [...byKey].filter(([key]) => !wanted.has(key)).flatMap(([, members]) => members);
  return recycle([
    ...groups.flatMap((group) =>
      planGroup(service, group, byKey.get(keyOf(group.addressType, group.ports)) ?? [], context),
    ),
    ...others.map((slice): SliceWrite => ({ do: 'delete', slice })),
  ]);
}

/** One that would go becomes one that would come: a watch sees one change, and at no moment none of both. */
function recycle(writes: readonly SliceWrite[]): SliceWrite[] {
  const going = writes.flatMap((write) => (write.do === 'delete' ? [write.slice] : []));
  const updates = writes.map((write): SliceWrite => {
    if (write.do !== 'create') return write;
    const index = going.findIndex((slice) => slice['addressType'] === write.object['addressType']);
    const [slice] = index < 0 ? [] : going.splice(index, 1);
    if (slice === undefined) return write;
    const { name, namespace, uid, creationTimestamp, ...rest } = slice.metadata;
    const { labels, annotations, ownerReferences } = fieldsAt(write.object, 'metadata');
    const own = { name, namespace, uid, creationTimestamp, labels, annotations, ownerReferences };
    return { do: 'update', slice, object: { ...write.object, metadata: { ...rest, ...own } } };
  });
  return updates.filter((write) => write.do !== 'delete' || going.includes(write.slice));
}

/** Endpoints stay in their slice; new ones fill slices that are written anyway, then those with room. */
function planGroup(
  service: ApiObject,
  group: EndpointGroup,
  slices: readonly ApiObject[],
  context: SliceContext,
): SliceWrite[] {
  const left = new Map(group.endpoints.map((endpoint) => [identityOf(endpoint), endpoint]));
  const kept = slices.map((slice) => {
    const before = listAt(slice, 'endpoints');
    const endpoints = before.flatMap((endpoint): Fields[] => {
      const identity = identityOf(endpoint);
      const now = left.get(identity);
      left.delete(identity);
      return now === undefined ? [] : [now];
    });
    return { slice, endpoints, isWritten: !isEqual(before, endpoints) };
  });
  const added = [...left.values()];
  for (const { endpoints } of kept.toSorted((a, b) => Number(b.isWritten) - Number(a.isWritten)))
    endpoints.push(...added.splice(0, MOST_ENDPOINTS - endpoints.length));
  const isEmpty = group.endpoints.length === 0;
  const writes = kept.flatMap(({ slice, endpoints }, index): SliceWrite[] => {
    // One without endpoints tells that there are none.
    if (endpoints.length === 0 && !(isEmpty && index === 0)) return [{ do: 'delete', slice }];
    const content = contentOf(service, group, endpoints);
    return isAs(slice, content) ? [] : [{ do: 'update', slice, object: change(slice, content, context) }];
  });
  const chunks = Array.from({ length: Math.ceil(added.length / MOST_ENDPOINTS) }, (_, index) =>
    added.slice(index * MOST_ENDPOINTS, (index + 1) * MOST_ENDPOINTS),
  );
  if (isEmpty && slices.length === 0) chunks.push([]);
  return [
    ...writes,
    ...chunks.map((endpoints): SliceWrite => {
      const { name, namespace } = service.metadata;
      const metadata = { name: `${name}-${context.newName()}`, namespace };
      return { do: 'create', object: change({ metadata }, contentOf(service, group, endpoints), context) };
    }),
  ];
}

type Content = { labels: Fields; ownerReferences: readonly Fields[]; fields: Fields };

function contentOf(service: ApiObject, group: EndpointGroup, endpoints: readonly Fields[]): Content {
  const { name, uid, labels } = service.metadata;
  const isHeadless = textAt(service, 'spec', 'clusterIP') === 'None';
  const { [HEADLESS_LABEL]: _, ...own } = labels ?? {};
  return {
    labels: {
      ...own,
      ...(isHeadless ? { [HEADLESS_LABEL]: '' } : {}),
      [SERVICE_LABEL]: name,
      [MANAGER_LABEL]: MANAGER,
    },
    ownerReferences: [
      { apiVersion: 'v1', kind: 'Service', name, uid, controller: true, blockOwnerDeletion: true },
    ],
    fields: { addressType: group.addressType, ports: group.ports, endpoints },
  };
}

function isAs(slice: ApiObject, { labels, ownerReferences, fields }: Content): boolean {
  return (
    isEqual(fieldsAt(slice, 'metadata', 'labels'), labels) &&
    isEqual(listAt(slice, 'metadata', 'ownerReferences'), ownerReferences) &&
    Object.entries(fields).every(([field, value]) => isEqual(at(slice, field) ?? [], value))
  );
}

function change(
  slice: Fields,
  { labels, ownerReferences, fields }: Content,
  { changedAt }: SliceContext,
): Fields {
  const annotations = { ...fieldsAt(slice, 'metadata', 'annotations'), [CHANGED_ANNOTATION]: changedAt };
  const metadata = { ...fieldsAt(slice, 'metadata'), labels, annotations, ownerReferences };
  return { ...slice, metadata, ...fields };
}

function keyOf(addressType: string, ports: readonly Fields[]): string {
  const words = ports.map((port) =>
    ['name', 'protocol', 'port', 'appProtocol'].map((field) => textAt(port, field)).join(' '),
  );
  return [addressType, ...words].join();
}

function identityOf(endpoint: unknown): string {
  return `${textAt(endpoint, 'targetRef', 'uid')} ${String(listAt(endpoint, 'addresses')[0])}`;
}
