/** A request's body as an object of the kind that the path names. */
import { isUtf8 } from 'node:buffer';
import { type Document, parseDocument } from 'yaml';
import { apiVersionOf, type Kind } from '../kinds.ts';
import { type Fields, isFields, textAt } from '../storage/object.ts';
import { conform } from '../validation/conform.ts';
import { ApiFailure } from './failure.ts';
import type { Query } from './request.ts';

/** Levels of objects in objects; nothing of the API comes near. */
const MOST_DEPTH = 64;

/** @throws ApiFailure where the bytes are no JSON, or too deep to walk. */
export function parseJson(body: Buffer): unknown {
  let value: unknown;
  try {
    value = JSON.parse(decodeText(body));
  } catch (error) {
    throw new ApiFailure('BadRequest', `the body is no JSON: ${(error as Error).message}`);
  }
  checkDepth(value);
  return value;
}

/** YAML, and with it JSON: what server-side apply sends. */
export function parseYaml(body: Buffer): unknown {
  let document: Document.Parsed;
  let value: unknown;
  try {
    document = parseDocument(decodeText(body), { uniqueKeys: true, schema: 'core' });
    if (document.errors.length > 0) throw document.errors[0]!;
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw new ApiFailure('BadRequest', `error decoding YAML: ${(error as Error).message.split('\n')[0]}`);
  }
  checkDepth(value);
  return value;
}

/**
 * @returns the object without what its kind does not know, and a warning for each such field.
 * @throws ApiFailure where it is another kind's, has values of wrong types, or is checked strictly.
 */
export function decodeObject(
  kind: Kind,
  value: unknown,
  validation: Query['fieldValidation'],
): { object: Fields; warnings: string[] } {
  if (!isFields(value)) throw new ApiFailure('BadRequest', `the body is not an object of kind ${kind.kind}`);
  checkKind(kind, value);
  const { value: object, unknown, mistaken } = conform(kind.shape, value);
  if (mistaken.length > 0) {
    throw new ApiFailure(
      'BadRequest',
      `${kind.kind} in version ${JSON.stringify(kind.version)} cannot be handled as a ${kind.kind}: ${mistaken.slice(0, 10).join('; ')}`,
    );
  }
  const warnings = unknown.slice(0, 50).map((field) => `unknown field ${JSON.stringify(field)}`);
  if (warnings.length > 0 && validation === 'Strict')
    throw new ApiFailure(
      'BadRequest',
      `${kind.kind} in version ${JSON.stringify(kind.version)} cannot be handled as a ${kind.kind}: strict decoding error: ${warnings.join(', ')}`,
    );
  return { object: object as Fields, warnings: validation === 'Warn' ? warnings : [] };
}

/** @throws ApiFailure where it is no UTF-8. */
function decodeText(body: Buffer): string {
  if (isUtf8(body)) return body.toString();
  throw new ApiFailure('BadRequest', 'the body is not UTF-8');
}

function checkKind(kind: Kind, value: Fields): void {
  const [apiVersion, name] = [textAt(value, 'apiVersion'), textAt(value, 'kind')];
  if (name === '' || apiVersion === '')
    throw new ApiFailure(
      'BadRequest',
      `Object 'Kind' or 'apiVersion' is missing; this path takes ${kind.kind} of ${apiVersionOf(kind)}`,
    );
  if (name !== kind.kind || apiVersion !== apiVersionOf(kind))
    throw new ApiFailure(
      'BadRequest',
      `the object is a ${name} of ${apiVersion}, but this path takes ${kind.kind} of ${apiVersionOf(kind)}`,
    );
}

function checkDepth(value: unknown): void {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MOST_DEPTH)
      throw new ApiFailure('BadRequest', `the body is nested deeper than ${MOST_DEPTH} levels`);
    level = level.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values(item) : []));
  }
}
