/** Objects of Kubernetes in YAML files, as people keep them: several in a file, lists, whole directories. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Document, LineCounter, parseAllDocuments } from 'yaml';
import { describeError, FairleadError } from '../../base/errors/errors.ts';
import { type Fields, fieldAt, isFields, textAt } from '../../base/fields/fields.ts';

export type Manifest = {
  /** `policies.yaml:12`. */
  at: string;
  /** As it is written. */
  value: Fields;
};

const EXTENSIONS = /\.(yaml|yml|json)$/;
/** Bytes: more is not written by hand, and no alias makes more of it. */
const LARGEST_FILE = 16 * 1024 * 1024;
const MOST_ALIASES = 100;

/**
 * @param paths files, and directories of which the files ending in yaml, yml and json are read, by name.
 * @throws FairleadError with file, line and cure.
 */
export function readManifests(paths: readonly string[]): Manifest[] {
  return paths.flatMap(filesOf).flatMap((file) => parseManifests(readText(file), file));
}

/** @param file as it is named in messages. */
export function parseManifests(text: string, file: string): Manifest[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false }) as Document.Parsed[];
  return documents.flatMap((document): Manifest[] => {
    const [fault] = document.errors;
    const lineOf = (offset: number) => lines.linePos(offset).line;
    if (fault !== undefined)
      throw usage(`${file}:${lineOf(fault.pos[0])}: ${fault.message.split('\n')[0]}; correct the YAML`);
    const start = document.contents?.range[0];
    if (start === undefined) return [];
    const at = `${file}:${lineOf(start)}`;
    let value: unknown;
    try {
      value = document.toJS({ maxAliasCount: MOST_ALIASES });
    } catch (error) {
      throw usage(`${at}: ${describeError(error)}`);
    }
    if (value === null || value === undefined) return [];
    if (!isFields(value))
      throw usage(`${at}: is not an object of Kubernetes; write apiVersion, kind and metadata`);
    const items = fieldAt(value, 'items');
    return (textAt(value, 'kind') ?? '').endsWith('List') && Array.isArray(items)
      ? items.filter(isFields).map((item) => ({ at, value: item }))
      : [{ at, value }];
  });
}

function filesOf(path: string): string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
    const files = readdirSync(path).filter((name) => EXTENSIONS.test(name));
    if (files.length === 0) throw usage(`${path}: holds no file that ends in yaml, yml or json`);
    return files.toSorted().map((name) => join(path, name));
  } catch (error) {
    if (error instanceof FairleadError) throw error;
    throw usage(`${path}: cannot be read: ${describeError(error)}`);
  }
}

function readText(file: string): string {
  try {
    if (statSync(file).size > LARGEST_FILE) throw new Error(`is larger than ${LARGEST_FILE} bytes; split it`);
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw usage(`${file}: cannot be read: ${describeError(error)}`);
  }
}

function usage(message: string): FairleadError {
  return new FairleadError('FL_USAGE', message);
}
