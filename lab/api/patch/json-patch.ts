/** JSON Patch (RFC 6902): operations by JSON pointer, all of them or none. */
import { ApiFailure } from '../request/failure.ts';
import { isFields, textAt } from '../storage/object.ts';
import { isEqual } from './equal.ts';

/** Operations in one patch, as the API server limits them. */
const MOST_OPERATIONS = 10_000;

/** What takes the place of the value at a path: another value, or its removal. */
type Change = { set: unknown; insert: boolean } | 'remove';

/** @throws ApiFailure that names the operation which does not fit. */
export function jsonPatch(document: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch) || patch.length > MOST_OPERATIONS)
    throw new ApiFailure('BadRequest', `a JSON patch is a list of up to ${MOST_OPERATIONS} operations`);
  let result = document;
  for (const operation of patch) result = applyOperation(result, operation);
  return result;
}

function applyOperation(document: unknown, operation: unknown): unknown {
  const name = textAt(operation, 'op');
  const path = pointer(operation, 'path');
  const value = () => {
    if (isFields(operation) && 'value' in operation) return operation['value'];
    throw refuse(operation, 'lacks a value');
  };
  switch (name) {
    case 'add':
      return change(document, path, { set: value(), insert: true }, operation);
    case 'remove':
      return change(document, path, 'remove', operation);
    case 'replace':
      lookUp(document, path, operation);
      return change(document, path, { set: value(), insert: false }, operation);
    case 'move': {
      const from = pointer(operation, 'from');
      const moved = lookUp(document, from, operation);
      const without = change(document, from, 'remove', operation);
      return change(without, path, { set: moved, insert: true }, operation);
    }
    case 'copy': {
      const copied = lookUp(document, pointer(operation, 'from'), operation);
      return change(document, path, { set: copied, insert: true }, operation);
    }
    case 'test':
      if (isEqual(lookUp(document, path, operation), value())) return document;
      throw refuse(operation, 'is not what the document has there');
    default:
      throw refuse(operation, 'is no operation; use add, remove, replace, move, copy or test');
  }
}

/** RFC 6901: `~1` is a slash, `~0` a tilde. */
function pointer(operation: unknown, field: 'path' | 'from'): string[] {
  const text = isFields(operation) ? operation[field] : undefined;
  if (typeof text !== 'string' || (text !== '' && !text.startsWith('/')))
    throw refuse(operation, `has no JSON pointer as its ${field}`);
  return text === ''
    ? []
    : text
        .slice(1)
        .split('/')
        .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function lookUp(document: unknown, path: readonly string[], operation: unknown): unknown {
  let found = document;
  for (const part of path) {
    const index = Array.isArray(found) && /^(0|[1-9]\d*)$/.test(part) ? Number(part) : -1;
    if (Array.isArray(found) && index >= 0 && index < found.length) found = found[index];
    else if (isFields(found) && Object.hasOwn(found, part)) found = found[part];
    else throw refuse(operation, `names a path that the document does not have`);
  }
  return found;
}

function change(document: unknown, path: readonly string[], what: Change, operation: unknown): unknown {
  const [part, ...rest] = path;
  if (part === undefined) return what === 'remove' ? undefined : what.set;
  if (Array.isArray(document)) return changeList(document, part, rest, what, operation);
  if (!isFields(document)) throw refuse(operation, 'names a path that the document does not have');
  const fields = new Map(Object.entries(document));
  if ((rest.length > 0 || what === 'remove') && !fields.has(part))
    throw refuse(operation, 'names a path that the document does not have');
  if (rest.length > 0) fields.set(part, change(fields.get(part), rest, what, operation));
  else if (what === 'remove') fields.delete(part);
  else fields.set(part, what.set);
  return Object.fromEntries(fields);
}

function changeList(
  items: readonly unknown[],
  part: string,
  rest: readonly string[],
  what: Change,
  operation: unknown,
): unknown {
  const inserts = rest.length === 0 && what !== 'remove' && what.insert;
  const index = part === '-' && inserts ? items.length : /^(0|[1-9]\d*)$/.test(part) ? Number(part) : -1;
  if (index < 0 || index > items.length || (index === items.length && !inserts))
    throw refuse(operation, `names item ${part} of a list of ${items.length}`);
  if (rest.length > 0) return items.with(index, change(items[index], rest, what, operation));
  if (what === 'remove') return items.toSpliced(index, 1);
  return inserts ? items.toSpliced(index, 0, what.set) : items.with(index, what.set);
}

function refuse(operation: unknown, why: string): ApiFailure {
  const said = JSON.stringify(operation) ?? 'nothing';
  return new ApiFailure('Invalid', `the JSON patch operation ${said.slice(0, 200)} ${why}`);
}
