/** Objects as a Table, the form in which `kubectl get` asks for them (API conventions, "Receiving resources as Tables"). */
import type { Kind } from '../kinds.ts';
import type { ApiObject } from '../storage/object.ts';

/** How much of each object a row carries. */
export type RowContent = 'None' | 'Metadata' | 'Object';

/** @param now milliseconds since 1970. */
export function makeTable(
  kind: Kind,
  objects: readonly ApiObject[],
  listMeta: object,
  content: RowContent,
  now: number,
): object {
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: listMeta,
    columnDefinitions: kind.columns.map(({ name, type, format, priority }) => ({
      name,
      type,
      format,
      description: '',
      priority,
    })),
    rows: objects.map((object) => ({
      cells: kind.columns.map(({ value }) => value(object, now)),
      ...rowObject(object, content),
    })),
  };
}

function rowObject(object: ApiObject, content: RowContent): object {
  switch (content) {
    case 'None':
      return {};
    case 'Object':
      return { object };
    case 'Metadata':
      return {
        object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata },
      };
  }
}
