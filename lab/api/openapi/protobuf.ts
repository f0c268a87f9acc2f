/**
 * The version 2 document as the protocol buffer that kubectl reads it as: messages of gnostic's openapi_v2, only the
 * fields that the document uses. A field is its number and wire type, then a length or a number.
 */
import { isFields, listAt, textAt } from '../storage/object.ts';

const LENGTH_DELIMITED = 2;

export function encodeOpenapiV2(document: unknown): Buffer {
  const info = entry(document, 'info');
  return Buffer.concat([
    text(1, entry(document, 'swagger')),
    message(2, [text(1, entry(info, 'title')), text(2, entry(info, 'version'))]),
    message(8, named(entry(document, 'paths'), 2, pathItem)),
    message(9, named(entry(document, 'definitions'), 1, schema)),
  ]);
}

function pathItem(item: unknown): Buffer[] {
  const numbers = { get: 2, put: 3, post: 4, delete: 5, patch: 8 };
  return Object.entries(numbers).flatMap(([method, number]) => {
    const found = entry(item, method);
    return found === undefined ? [] : [message(number, operation(found))];
  });
}

function operation(value: unknown): Buffer[] {
  return [
    ...listAt(value, 'consumes').map((type) => text(7, type)),
    ...listAt(value, 'parameters').map((parameter) =>
      // ParametersItem → Parameter → NonBodyParameter → QueryParameterSubSchema
      message(8, [message(1, [message(2, [message(3, queryParameter(parameter))])])]),
    ),
    ...extensions(value, 13),
  ];
}

function queryParameter(parameter: unknown): Buffer[] {
  return [text(2, 'query'), text(4, textAt(parameter, 'name')), text(6, 'string')];
}

function schema(value: unknown): Buffer[] {
  const additional = entry(value, 'additionalProperties');
  const items = entry(value, 'items');
  const properties = entry(value, 'properties');
  return [
    text(2, entry(value, 'format')),
    text(4, entry(value, 'description')),
    ...listAt(value, 'required').map((field) => text(19, field)),
    ...(additional === undefined ? [] : [message(21, [message(1, schema(additional))])]),
    ...(entry(value, 'type') === undefined ? [] : [message(22, [text(1, entry(value, 'type'))])]),
    ...(items === undefined ? [] : [message(23, [message(1, schema(items))])]),
    ...(properties === undefined ? [] : [message(25, named(properties, 1, schema))]),
    ...extensions(value, 31),
  ];
}

/** Extensions travel as YAML, of which JSON is a part. */
function extensions(value: unknown, number: number): Buffer[] {
  const fields = isFields(value) ? Object.entries(value) : [];
  return fields
    .filter(([field]) => field.startsWith('x-'))
    .map(([field, inner]) => message(number, [text(1, field), message(2, [text(2, JSON.stringify(inner))])]));
}

function named(map: unknown, number: number, encode: (value: unknown) => Buffer[]): Buffer[] {
  const fields = isFields(map) ? Object.entries(map) : [];
  return fields.map(([name, value]) => message(number, [text(1, name), message(2, encode(value))]));
}

function entry(value: unknown, field: string): unknown {
  return isFields(value) ? value[field] : undefined;
}

function message(number: number, parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([varint((number << 3) | LENGTH_DELIMITED), varint(content.length), content]);
}

function text(number: number, value: unknown): Buffer {
  if (typeof value !== 'string' || value === '') return Buffer.alloc(0);
  return message(number, [Buffer.from(value)]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}
