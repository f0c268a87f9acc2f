/** Objects of the Kubernetes API as plain values, and how a field of unknown content is read from them. */

export type Fields = { readonly [field: string]: unknown };

/** What every object has in `metadata` (API conventions, "Metadata"). */
export type Metadata = Fields & {
  name: string;
  namespace?: string;
  uid: string;
  /** Decimal, grows with every change of anything in the store. */
  resourceVersion: string;
  /** RFC 3339, whole seconds. */
  creationTimestamp: string;
  generation?: number;
  labels?: Readonly<Record<string, string>>;
  annotations?: Readonly<Record<string, string>>;
  deletionTimestamp?: string;
};

export type ApiObject = Fields & { apiVersion: string; kind: string; metadata: Metadata };

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value at a path; undefined where any part is absent. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  let found = value;
  for (const field of path) {
    if (!isFields(found) || !Object.hasOwn(found, field)) return undefined;
    found = found[field];
  }
  return found;
}

export function textAt(value: unknown, ...path: readonly string[]): string {
  const found = at(value, ...path);
  return typeof found === 'string' || typeof found === 'number' ? String(found) : '';
}

export function listAt(value: unknown, ...path: readonly string[]): readonly unknown[] {
  const found = at(value, ...path);
  return Array.isArray(found) ? found : [];
}

export function fieldsAt(value: unknown, ...path: readonly string[]): Fields {
  const found = at(value, ...path);
  return isFields(found) ? found : {};
}

/** A copy with one field set at a path, or taken away where the value is undefined. */
export function withField(value: Fields, path: readonly string[], next: unknown): Fields {
  const [field, ...rest] = path;
  if (field === undefined) return isFields(next) ? next : {};
  const inner = rest.length === 0 ? next : withField(fieldsAt(value, field), rest, next);
  const others = Object.entries(value).filter(([key]) => key !== field);
  return Object.fromEntries(inner === undefined ? others : [...others, [field, inner]]);
}
