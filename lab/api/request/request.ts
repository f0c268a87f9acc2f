/** A request's path and query as what they ask for. */

import { KINDS, type Kind } from '../kinds.ts';
import type { ApiObject } from '../storage/object.ts';
import type { RowContent } from '../table/table.ts';
import { ApiFailure } from './failure.ts';
import { type FieldRequirement, matchesFields, parseFieldSelector } from './field-selector.ts';
import { matchesLabels, parseLabelSelector, type Requirement } from './label-selector.ts';

export type Target = {
  kind: Kind;
  namespace?: string;
  name?: string;
  subresource?: string;
};

export type Query = {
  labels: readonly Requirement[];
  fields: readonly FieldRequirement[];
  /** Objects per page; 0: all. */
  limit: number;
  continue: string;
  resourceVersion?: number;
  watch: boolean;
  bookmarks: boolean;
  sendInitialEvents: boolean;
  timeoutSeconds?: number;
  dryRun: boolean;
  fieldManager?: string;
  force: boolean;
  fieldValidation: 'Ignore' | 'Warn' | 'Strict';
  rowContent: RowContent;
  gracePeriodSeconds?: number;
};

/** @returns undefined where the path names no kind that is served. */
export function parseTarget(path: string): Target | undefined {
  let parts: string[];
  try {
    parts = path.split('/').slice(1).map(decodeURIComponent);
  } catch {
    return undefined;
  }
  const [root, ...rest] = parts;
  const [group, version, ...segments]: string[] =
    root === 'api' ? ['', ...rest] : root === 'apis' ? rest : [];
  if (group === undefined || segments.includes('')) return undefined;
  const kindOf = (plural: string | undefined) =>
    KINDS.find((kind) => kind.group === group && kind.version === version && kind.plural === plural);
  // `namespaces/NAME/status` is the namespace's own; `namespaces/NAME/pods` lies in it.
  const [first, namespace, plural, ...more] = segments;
  const inside = first === 'namespaces' && plural !== undefined ? kindOf(plural) : undefined;
  if (inside?.namespaced === true && namespace !== undefined) return withNames(inside, namespace, more);
  const kind = kindOf(first);
  if (kind === undefined || (kind.namespaced && segments.length > 1)) return undefined;
  return withNames(kind, undefined, segments.slice(1));
}

function withNames(kind: Kind, namespace: string | undefined, names: readonly string[]): Target | undefined {
  if (names.length > 2) return undefined;
  const [name, subresource] = names;
  return {
    kind,
    ...(namespace === undefined ? {} : { namespace }),
    ...(name === undefined ? {} : { name }),
    ...(subresource === undefined ? {} : { subresource }),
  };
}

/** @throws ApiFailure that names the parameter. */
export function parseQuery(search: URLSearchParams, kind: Kind): Query {
  const number = (name: string): number | undefined => {
    const text = search.get(name);
    if (text === null || text === '') return undefined;
    if (/^\d{1,15}$/.test(text)) return Number(text);
    throw new ApiFailure('BadRequest', `${name}: ${JSON.stringify(text)} is not a number`);
  };
  const flag = (name: string) => ['true', '1'].includes(search.get(name) ?? '');
  const validation = search.get('fieldValidation') ?? '';
  const include = search.get('includeObject');
  const fieldManager = search.get('fieldManager');
  return {
    labels: parseLabelSelector(search.get('labelSelector') ?? ''),
    fields: parseFieldSelector(search.get('fieldSelector') ?? '', kind),
    limit: number('limit') ?? 0,
    continue: search.get('continue') ?? '',
    ...given('resourceVersion', number('resourceVersion')),
    watch: flag('watch'),
    bookmarks: flag('allowWatchBookmarks'),
    sendInitialEvents: flag('sendInitialEvents'),
    ...given('timeoutSeconds', number('timeoutSeconds')),
    dryRun: search.get('dryRun') === 'All',
    ...(fieldManager === null || fieldManager === '' ? {} : { fieldManager: fieldManager.slice(0, 128) }),
    force: flag('force'),
    fieldValidation: validation === 'Strict' || validation === 'Ignore' ? validation : 'Warn',
    rowContent: include === 'Object' || include === 'None' ? include : 'Metadata',
    ...given('gracePeriodSeconds', number('gracePeriodSeconds')),
  };
}

export function isSelected({ labels, fields }: Pick<Query, 'labels' | 'fields'>, object: ApiObject): boolean {
  return matchesLabels(labels, object.metadata.labels) && matchesFields(fields, object);
}

function given<K extends string>(name: K, value: number | undefined): { [P in K]?: number } {
  return (value === undefined ? {} : { [name]: value }) as { [P in K]?: number };
}
