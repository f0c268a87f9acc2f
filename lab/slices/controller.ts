/** Keeps the EndpointSlices of services with a selector as their pods are: the endpoint controller of the lab. */
import { describeError } from '../../src/base/errors/errors.ts';
import type { Logger } from '../../src/base/log/logger.ts';
import type { Api } from '../api/api.ts';
import { kindNamed } from '../api/kinds.ts';
import { type ApiObject, fieldsAt, textAt } from '../api/storage/object.ts';
import type { Change } from '../api/storage/store.ts';
import { createOwned, replaceOwned } from '../api/validation/owner.ts';
import { endpointGroups } from './endpoints.ts';
import { MANAGER, MANAGER_LABEL, planSlices, SERVICE_LABEL, type SliceWrite } from './plan.ts';

const ZONE_LABEL = 'topology.kubernetes.io/zone';
/** Milliseconds: what happens together is looked at together. */
const SETTLE_MS = 10;
const NAME_LENGTH = 5;

export function keepSlices(api: Api, logger: Logger): Disposable {
  const [services, pods, slices, nodes] = ['Service', 'Pod', 'EndpointSlice', 'Node'].map(kindNamed);
  /** By `namespace/name`, when the first change came that is not looked at yet. */
  const changed = new Map<string, number>();
  let timer: NodeJS.Timeout | undefined;
  const mark = (namespace: string, name: string) => {
    const key = `${namespace}/${name}`;
    if (!changed.has(key)) changed.set(key, api.now());
    timer ??= setTimeout(look, SETTLE_MS);
  };
  const markAll = (namespace?: string, wanted: (service: ApiObject) => boolean = () => true) => {
    for (const service of api.store.list(services!, namespace))
      if (wanted(service)) mark(service.metadata.namespace ?? '', service.metadata.name);
  };
  const notice = ({ kind, object, before }: Change) => {
    const { namespace = '', name, labels } = object.metadata;
    if (kind === services) mark(namespace, name);
    else if (kind === slices && labels?.[MANAGER_LABEL] === MANAGER)
      mark(namespace, labels[SERVICE_LABEL] ?? '');
    else if (kind === pods)
      markAll(namespace, (service) =>
        [object, before].some((pod) => pod !== undefined && isSelected(service, pod)),
      );
    else if (kind === nodes && zoneOf(object) !== (before === undefined ? '' : zoneOf(before))) markAll();
  };
  const look = () => {
    timer = undefined;
    const zones = new Map(
      api.store
        .list(nodes!)
        .flatMap((node) => (zoneOf(node) === '' ? [] : [[node.metadata.name, zoneOf(node)]])),
    );
    const due = [...changed];
    changed.clear();
    for (const [key, since] of due)
      try {
        lookAt(key, since, zones);
      } catch (error) {
        logger.warn('the slices of a service could not be written', {
          service: key,
          error: describeError(error),
        });
      }
  };
  const lookAt = (key: string, since: number, zones: ReadonlyMap<string, string>) => {
    const [namespace = '', name = ''] = key.split('/');
    const own = api.store
      .list(slices!, namespace)
      .filter(
        ({ metadata: { labels } }) => labels?.[SERVICE_LABEL] === name && labels[MANAGER_LABEL] === MANAGER,
      );
    const service = api.store.get(services!, namespace, name);
    if (service === undefined) return own.forEach((slice) => void api.store.remove(slices!, slice));
    if (!hasSelector(service) || textAt(service, 'spec', 'type') === 'ExternalName') return;
    const selected = api.store.list(pods!, namespace).filter((pod) => isSelected(service, pod));
    const context = {
      changedAt: new Date(since).toISOString(),
      newName: () => api.newUid().replaceAll('-', '').slice(0, NAME_LENGTH),
    };
    for (const write of planSlices(service, endpointGroups(service, selected, zones), own, context))
      carryOut(api, write);
  };
  const subscription = api.store.watch(notice);
  markAll();
  for (const { metadata } of api.store.list(slices!))
    if (metadata.labels?.[MANAGER_LABEL] === MANAGER)
      mark(metadata.namespace ?? '', metadata.labels[SERVICE_LABEL] ?? '');
  return {
    [Symbol.dispose]: () => {
      subscription[Symbol.dispose]();
      clearTimeout(timer);
    },
  };
}

function carryOut(api: Api, write: SliceWrite): void {
  switch (write.do) {
    case 'create':
      createOwned(api, 'EndpointSlice', write.object);
      return;
    case 'update':
      replaceOwned(api, write.slice, write.object);
      return;
    case 'delete':
      api.store.remove(kindNamed('EndpointSlice'), write.slice);
  }
}

/** One without a selector has the slices that its owner makes. */
function hasSelector(service: ApiObject): boolean {
  return Object.keys(fieldsAt(service, 'spec', 'selector')).length > 0;
}

function isSelected(service: ApiObject, { metadata: { labels = {} } }: ApiObject): boolean {
  const selector = Object.entries(fieldsAt(service, 'spec', 'selector'));
  return selector.length > 0 && selector.every(([key, value]) => labels[key] === value);
}

function zoneOf(node: ApiObject): string {
  return node.metadata.labels?.[ZONE_LABEL] ?? '';
}
