/** Reading untrusted objects of the API: a missing field is undefined, one of another type is as good as missing. */

export type Fields = Readonly<Record<string, unknown>>;

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function textAt(fields: Fields, name: string): string | undefined {
  const value = fieldAt(fields, name);
  return typeof value === 'string' ? value : undefined;
}

export function fieldsAt(fields: Fields, name: string): Fields {
  const value = fieldAt(fields, name);
  return isFields(value) ? value : {};
}

export function listAt(fields: Fields, name: string): readonly unknown[] {
  const value = fieldAt(fields, name);
  return Array.isArray(value) ? value : [];
}

/** Never what an object inherits. */
export function fieldAt(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}

/** A value as it may stand in a message. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
