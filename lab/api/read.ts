/** Getting one object, and lists: pages, selectors, tables. */
import type { Answer, Api } from './api.ts';
import { apiVersionOf } from './kinds.ts';
import { ApiFailure } from './request/failure.ts';
import { isSelected, type Query, type Target } from './request/request.ts';
import { type ApiObject, textAt } from './storage/object.ts';
import { keyOf } from './storage/store.ts';
import { makeTable } from './table/table.ts';
import { requireObject } from './write.ts';

/** How objects are shown: as they are, or as rows. */
export type View = 'object' | 'table';

export function readObject(api: Api, target: Target, query: Query, view: View): Answer {
  const object = requireObject(api, target);
  if (view === 'object') return { code: 200, body: object };
  const { resourceVersion } = object.metadata;
  return {
    code: 200,
    body: makeTable(target.kind, [object], { resourceVersion }, query.rowContent, api.now()),
  };
}

export function readList(api: Api, { kind, namespace }: Target, query: Query, view: View): Answer {
  const from = query.continue === '' ? undefined : readContinue(api, query.continue);
  const matching = api.store
    .list(kind, namespace)
    .filter((object) => (from === undefined || keyOf(object) > from.after) && isSelected(query, object));
  const page = query.limit > 0 ? matching.slice(0, query.limit) : matching;
  const version = from?.version ?? api.store.version;
  const rest = matching.length - page.length;
  const metadata = {
    resourceVersion: String(version),
    ...(rest > 0 ? { continue: writeContinue(version, page.at(-1)!), remainingItemCount: rest } : {}),
  };
  if (view === 'table')
    return { code: 200, body: makeTable(kind, page, metadata, query.rowContent, api.now()) };
  return {
    code: 200,
    body: { kind: `${kind.kind}List`, apiVersion: apiVersionOf(kind), metadata, items: page },
  };
}

/**
 * Later pages show what is there by then, under the version of the first: a watch from that version is told
 * whatever changed in between.
 */
function writeContinue(version: number, last: ApiObject): string {
  return Buffer.from(JSON.stringify({ version, after: keyOf(last) })).toString('base64url');
}

function readContinue(api: Api, token: string): { version: number; after: string } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(token, 'base64url').toString());
  } catch {
    parsed = undefined;
  }
  const version = Number(textAt(parsed, 'version') || Number.NaN);
  if (!Number.isSafeInteger(version))
    throw new ApiFailure('BadRequest', 'continue: is not a token that this API gave; start the list anew');
  if (api.store.since(version) === undefined)
    throw new ApiFailure(
      'Expired',
      'The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter.',
    );
  return { version, after: textAt(parsed, 'after') };
}
