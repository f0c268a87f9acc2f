/** What all objects of the API have in common, and how a kind of them is read. */
import { type Fields, fieldAt, fieldsAt, isFields, show, textAt } from '../../base/fields/fields.ts';
import { createInterner, internText } from './intern.ts';

export type KubeObject = {
  /** Absent for kinds that lie in no namespace. */
  namespace?: string;
  name: string;
  uid: string;
  /** For compare-and-swap; opaque. */
  resourceVersion: string;
};

/**
 * The object as far as it is needed, and one sentence for what in it had to be left out; or, for an object that is of
 * no use, the sentence alone. Sentences name the field, not the object.
 */
export type Trimmed<T> = { object: T; problem?: string } | { problem: string };

/** A kind as it is listed and watched. `trim` is given whatever came, and never throws. */
export type Kind<T extends KubeObject> = {
  /** As in messages: `node`. */
  name: string;
  /** Of the collection: `/api/v1/nodes`. */
  path: string;
  /** A cluster may lack the kind: then there are none, until it is installed. */
  optional?: true;
  /** Selectors: `{ fieldSelector: 'spec.nodeName=node-1' }`. */
  query?: Readonly<Record<string, string>>;
  trim: (value: unknown) => Trimmed<T>;
};

/** Own keys alone are labels; ask with `Object.hasOwn`, since `constructor` is a label's name too. */
export type Labels = Readonly<Record<string, string>>;

/** What Kubernetes itself allows: 253 of the prefix, a slash, 63 of the name; 63 of the value. */
const LONGEST_LABEL_KEY = 317;
const LONGEST_LABEL_VALUE = 63;
const MOST_LABELS = 1024;
const NO_LABELS: Labels = Object.freeze({});

/** DNS subdomain (RFC 1123), as the names of all kinds that are read. */
const NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;

/** @returns what is wrong where the object cannot even be told from others. */
export function readMetadata(value: unknown): (KubeObject & { metadata: Fields }) | { problem: string } {
  if (!isFields(value)) return { problem: `${show(value)} is not an object` };
  const metadata = fieldsAt(value, 'metadata');
  const name = textAt(metadata, 'name');
  if (name === undefined || !NAME.test(name))
    return { problem: `metadata.name: ${show(fieldAt(metadata, 'name'))} is not a name` };
  const namespace = textAt(metadata, 'namespace');
  if (namespace !== undefined && namespace !== '' && !NAME.test(namespace))
    return { problem: `metadata.namespace: ${show(namespace)} is not a name` };
  const uid = textAt(metadata, 'uid') ?? '';
  if (uid === '' || uid.length > 128) return { problem: 'metadata.uid: is missing or too long' };
  const resourceVersion = textAt(metadata, 'resourceVersion') ?? '';
  if (resourceVersion === '' || resourceVersion.length > 128)
    return { problem: 'metadata.resourceVersion: is missing or too long' };
  const scope = namespace === undefined || namespace === '' ? {} : { namespace: internText(namespace) };
  return { ...scope, name, uid, resourceVersion, metadata };
}

/** How often what the object asks for was changed; 0 where that is not counted. */
export function generationOf(metadata: Fields): number {
  const generation = fieldAt(metadata, 'generation');
  return typeof generation === 'number' && Number.isSafeInteger(generation) ? generation : 0;
}

/** @returns the key of an object among those of its kind, `default/web-0`; undefined where it has no name. */
export function keyOf(value: unknown): string | undefined {
  if (!isFields(value)) return undefined;
  const metadata = fieldsAt(value, 'metadata');
  const name = textAt(metadata, 'name');
  if (name === undefined || name === '' || name.length > 253) return undefined;
  const namespace = (textAt(metadata, 'namespace') ?? '').slice(0, 253);
  return namespace === '' ? name : `${namespace}/${name}`;
}

const internLabels = createInterner<Labels>((labels) => JSON.stringify(labels));

/** The labels as they are, or equal ones of another object. */
export function readLabels(metadata: Fields): { labels: Labels } | { problem: string } {
  const labels = fieldAt(metadata, 'labels') ?? undefined;
  if (labels === undefined) return { labels: NO_LABELS };
  if (!isFields(labels)) return { problem: `metadata.labels: ${show(labels)} is not a map; write one` };
  const keys = Object.keys(labels);
  if (keys.length > MOST_LABELS)
    return { problem: `metadata.labels: has ${keys.length} labels; keep at most ${MOST_LABELS}` };
  for (const key of keys) {
    const value = labels[key];
    if (key.length > LONGEST_LABEL_KEY || typeof value !== 'string' || value.length > LONGEST_LABEL_VALUE) {
      return {
        problem: `metadata.labels: ${show(key)}: ${show(value)} is not a label; correct or remove it`,
      };
    }
  }
  return { labels: internLabels(labels as Labels) };
}
