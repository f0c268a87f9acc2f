/**
 * The few objects that newer versions of kubectl send as protocol buffers (`create namespace`, `create configmap`,
 * `create service`, the options of `drain`), read by the field numbers of their messages. Source: generated.proto of the API's packages.
 */

import type { Fields } from '../storage/object.ts';
import { ApiFailure } from './failure.ts';

type Message = { readonly [number: number]: Field };
type Field = {
  name: string;
  /** `map`: of texts to texts; `bytes-map`: of texts to base64. */
  as: 'text' | 'number' | 'flag' | 'map' | 'bytes-map' | 'number-or-text' | Message;
  repeated?: true;
};

const META: Message = {
  ...texts({ 1: 'name', 2: 'generateName', 3: 'namespace' }),
  11: { name: 'labels', as: 'map' },
  12: { name: 'annotations', as: 'map' },
};
const PORT: Message = {
  ...texts({ 1: 'name', 2: 'protocol', 6: 'appProtocol' }),
  3: { name: 'port', as: 'number' },
  4: { name: 'targetPort', as: 'number-or-text' },
  5: { name: 'nodePort', as: 'number' },
};
const SERVICE: Message = {
  ...texts({ 3: 'clusterIP', 4: 'type', 10: 'externalName' }),
  1: { name: 'ports', as: PORT, repeated: true },
  2: { name: 'selector', as: 'map' },
  5: { name: 'externalIPs', as: 'text', repeated: true },
};
const MESSAGES: Readonly<Record<string, Message>> = {
  Namespace: { 1: { name: 'metadata', as: META } },
  ConfigMap: {
    1: { name: 'metadata', as: META },
    2: { name: 'data', as: 'map' },
    3: { name: 'binaryData', as: 'bytes-map' },
    4: { name: 'immutable', as: 'flag' },
  },
  Service: { 1: { name: 'metadata', as: META }, 2: { name: 'spec', as: SERVICE } },
  DeleteOptions: {
    1: { name: 'gracePeriodSeconds', as: 'number' },
    2: { name: 'preconditions', as: texts({ 1: 'uid', 2: 'resourceVersion' }) },
    4: { name: 'propagationPolicy', as: 'text' },
    5: { name: 'dryRun', as: 'text', repeated: true },
  },
};
/** The envelope: four bytes of magic, then the type, and the object as bytes. */
const MAGIC = Buffer.from('k8s\0');
const TYPE: Message = texts({ 1: 'apiVersion', 2: 'kind' });

/** @throws ApiFailure where the bytes are none of these objects. */
export function parseProtobuf(body: Buffer): Fields {
  if (!body.subarray(0, 4).equals(MAGIC)) throw refuse('has no envelope');
  const envelope = new Map(readFields(body.subarray(4)));
  const [type, raw] = [envelope.get(1), envelope.get(2)];
  if (!Buffer.isBuffer(type) || !Buffer.isBuffer(raw)) throw refuse('has an empty envelope');
  const typeMeta = decode(TYPE, type);
  const kind = String(typeMeta['kind']);
  const message = Object.hasOwn(MESSAGES, kind) ? MESSAGES[kind] : undefined;
  if (message === undefined) throw refuse(`is a ${kind}, which this API takes as JSON alone`);
  return { ...typeMeta, ...decode(message, raw) };
}

/** Fields without a name here are those that the server fills in by itself. */
function decode(message: Message, bytes: Buffer): Fields {
  const result = new Map<string, unknown>();
  for (const [number, raw] of readFields(bytes)) {
    const field = message[number];
    if (field === undefined) continue;
    const value = decodeValue(field, raw);
    const before = result.get(field.name);
    if (field.repeated === true) result.set(field.name, [...(Array.isArray(before) ? before : []), value]);
    else if (field.as === 'map' || field.as === 'bytes-map')
      result.set(
        field.name,
        Object.fromEntries([...Object.entries(before ?? {}), value as [string, string]]),
      );
    else if (value !== '') result.set(field.name, value);
  }
  return Object.fromEntries(result);
}

function decodeValue({ as }: Field, raw: Buffer | number): unknown {
  if (as === 'number' || as === 'flag') {
    if (typeof raw !== 'number') throw refuse('has bytes in place of a number');
    return as === 'flag' ? raw !== 0 : raw;
  }
  if (typeof raw === 'number') throw refuse('has a number in place of bytes');
  if (as === 'text') return raw.toString();
  if (as === 'map' || as === 'bytes-map') {
    const entry = new Map(readFields(raw));
    const value = Buffer.from((entry.get(2) as Buffer | undefined) ?? '');
    return [String(entry.get(1) ?? ''), value.toString(as === 'map' ? 'utf8' : 'base64')];
  }
  if (as === 'number-or-text') {
    const entry = new Map(readFields(raw));
    return (entry.get(1) ?? 0) === 0 ? Number(entry.get(2) ?? 0) : String(entry.get(3) ?? '');
  }
  return decode(as, raw);
}

/** Number and value of each field: lengths give bytes, all else numbers. */
function* readFields(bytes: Buffer): Generator<[number, Buffer | number]> {
  let offset = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 56; shift += 7) {
      const byte = bytes[offset++];
      if (byte === undefined) throw refuse('is cut off');
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw refuse('has a number that is too large');
  };
  while (offset < bytes.length) {
    const tag = varint();
    const wire = tag % 8;
    if (wire === 0) yield [Math.floor(tag / 8), varint()];
    else if (wire === 2) {
      const length = varint();
      if (length > bytes.length - offset) throw refuse('is cut off');
      offset += length;
      yield [Math.floor(tag / 8), bytes.subarray(offset - length, offset)];
    } else throw refuse(`has a field of wire type ${wire}`);
  }
}

function texts(names: Readonly<Record<number, string>>): Message {
  return Object.fromEntries(Object.entries(names).map(([number, name]) => [number, { name, as: 'text' }]));
}

function refuse(why: string): ApiFailure {
  return new ApiFailure('BadRequest', `the protocol buffer ${why}; send application/json`);
}
