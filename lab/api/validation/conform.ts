/** An untrusted value against a shape: what is unknown is named and left out, what has the wrong type is refused. */

import type { ObjectType, Type } from '../../../src/edge/kubernetes/schema/type.ts';
import { isFields } from '../storage/object.ts';

export type Conformed = {
  /** The value without unknown fields and without nulls. */
  value: unknown;
  /** Paths of fields that the shape does not have. */
  unknown: readonly string[];
  /** Values of a wrong type, each as one sentence. */
  mistaken: readonly string[];
  /** Paths of required fields that are absent. */
  missing: readonly string[];
};

type Found = { unknown: string[]; mistaken: string[]; missing: string[] };

export function conform(shape: ObjectType, value: unknown): Conformed {
  const found: Found = { unknown: [], mistaken: [], missing: [] };
  return { value: walk(shape, value, '', found), ...found };
}

function walk(type: Type, value: unknown, path: string, found: Found): unknown {
  switch (type.type) {
    case 'object': {
      if (!isFields(value)) return mistaken(value, path, 'an object', found);
      return walkObject(type, value, path, found);
    }
    case 'map':
      if (!isFields(value)) return mistaken(value, path, 'an object', found);
      return Object.fromEntries(
        present(value).map(([key, item]) => [key, walk(type.of, item, `${path}[${key}]`, found)]),
      );
    case 'list':
      if (!Array.isArray(value)) return mistaken(value, path, 'a list', found);
      return value.map((item, index) => walk(type.of, item, `${path}[${index}]`, found));
    case 'text':
      return typeof value === 'string' ? value : mistaken(value, path, 'a text', found);
    case 'time':
    case 'micro-time':
      return typeof value === 'string' && !Number.isNaN(Date.parse(value))
        ? value
        : mistaken(value, path, 'a time as in RFC 3339', found);
    case 'boolean':
      return typeof value === 'boolean' ? value : mistaken(value, path, 'true or false', found);
    case 'integer':
      return Number.isSafeInteger(value) ? value : mistaken(value, path, 'a whole number', found);
    case 'number':
      return typeof value === 'number' ? value : mistaken(value, path, 'a number', found);
    case 'text-or-number':
      return typeof value === 'string' || typeof value === 'number'
        ? value
        : mistaken(value, path, 'a text or a number', found);
    case 'free':
      return value;
  }
}

function walkObject(type: ObjectType, value: object, path: string, found: Found): unknown {
  const inside = (field: string) => (path === '' ? field : `${path}.${field}`);
  const entries = present(value);
  const names = new Set(entries.map(([field]) => field));
  for (const field of type.required) if (!names.has(field)) found.missing.push(inside(field));
  return Object.fromEntries(
    entries.flatMap(([field, item]) => {
      const known = Object.hasOwn(type.fields, field) ? type.fields[field] : undefined;
      if (known !== undefined) return [[field, walk(known, item, inside(field), found)]];
      found.unknown.push(inside(field));
      return [];
    }),
  );
}

function present(value: object): [string, unknown][] {
  return Object.entries(value).filter(([, item]) => item !== null && item !== undefined);
}

function mistaken(value: unknown, path: string, wanted: string, found: Found): undefined {
  const said = JSON.stringify(value) ?? 'nothing';
  found.mistaken.push(`${path}: ${said.length > 60 ? `${said.slice(0, 60)}…` : said} is not ${wanted}`);
  return undefined;
}
