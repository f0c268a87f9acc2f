/** The API as its verbs see it: the store, the clock, and who tears pods down. */
import type { Fields } from './storage/object.ts';
import type { Store } from './storage/store.ts';

export type Api = {
  store: Store;
  /** Milliseconds since 1970. */
  now: () => number;
  newUid: () => string;
  /** Whether the pods of a node are stopped by its kubelet. A deleted pod of it stays, marked, until it has stopped. */
  stopsPods: (node: string) => boolean;
  /** What a container has written from that byte on; undefined where it has no log. */
  logs: (namespace: string, pod: string, container: string, from: number) => Buffer | undefined;
};

/** An answer with one body; watches answer otherwise. */
export type Answer = {
  code: number;
  body: object | string;
  /** Sentences for the header `Warning`. */
  warnings?: readonly string[];
};

/** Whole seconds, as metadata has them. */
export function timeOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d+Z$/, 'Z');
}

export function withMetadata(object: Fields, metadata: Fields): Fields {
  return { ...object, metadata };
}
