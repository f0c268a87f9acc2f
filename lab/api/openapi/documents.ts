/** The OpenAPI documents: which kinds, paths and parameters there are. kubectl looks up in them what a server can. */
import { API_VERSION } from '../discovery.ts';
import { apiVersionOf, KINDS, type Kind } from '../kinds.ts';
import { definitionName, kindSchema, type Schema } from './shapes.ts';

const INFO = { title: 'Fairlead lab', version: API_VERSION.gitVersion };
/** What may be anything has no type in version 2; in version 3 the extension says so. */
const OPEN_V2: Schema = {};
const OPEN_V3: Schema = { 'x-kubernetes-preserve-unknown-fields': true };

export function openapiV2(): Schema {
  return {
    swagger: '2.0',
    info: INFO,
    paths: Object.fromEntries(
      KINDS.flatMap((kind) => pathsOf(kind, parameterV2, (types) => ({ consumes: types }))),
    ),
    definitions: Object.fromEntries(KINDS.map((kind) => [definitionName(kind), kindSchema(kind, OPEN_V2)])),
  };
}

/** `api/v1`, `apis/networking.k8s.io/v1`. */
export function openapiV3Paths(): string[] {
  return [...new Set(KINDS.map(rootOf))];
}

/** @returns undefined where no kind has this root. */
export function openapiV3(root: string): Schema | undefined {
  const kinds = KINDS.filter((kind) => rootOf(kind) === root);
  if (kinds.length === 0) return undefined;
  const body = (types: readonly string[]) => ({
    requestBody: { content: Object.fromEntries(types.map((type) => [type, { schema: { type: 'object' } }])) },
  });
  return {
    openapi: '3.0.0',
    info: INFO,
    paths: Object.fromEntries(kinds.flatMap((kind) => pathsOf(kind, parameterV3, body))),
    components: {
      schemas: Object.fromEntries(kinds.map((kind) => [definitionName(kind), kindSchema(kind, OPEN_V3)])),
    },
  };
}

type Parameter = (name: string) => Schema;
type Body = (types: readonly string[]) => Schema;

function pathsOf(kind: Kind, parameter: Parameter, body: Body): [string, Schema][] {
  const collection = `/${rootOf(kind)}${kind.namespaced ? '/namespaces/{namespace}' : ''}/${kind.plural}`;
  const operation = (action: string, parameters: readonly string[], more: Schema = {}): Schema => ({
    parameters: parameters.map(parameter),
    responses: { '200': { description: 'OK' } },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': { group: kind.group, kind: kind.kind, version: kind.version },
    ...more,
  });
  const written = ['dryRun', 'fieldManager', 'fieldValidation'];
  const patches = [
    'application/json-patch+json',
    'application/merge-patch+json',
    ...(kind.custom ? [] : ['application/strategic-merge-patch+json']),
    'application/apply-patch+yaml',
  ];
  return [
    [
      collection,
      {
        get: operation('list', [
          'fieldSelector',
          'labelSelector',
          'limit',
          'continue',
          'resourceVersion',
          'watch',
        ]),
        post: operation('post', written, body(['application/json', 'application/yaml'])),
      },
    ],
    [
      `${collection}/{name}`,
      {
        get: operation('get', []),
        put: operation('put', written, body(['application/json', 'application/yaml'])),
        patch: operation('patch', [...written, 'force'], body(patches)),
        delete: operation('delete', ['dryRun', 'gracePeriodSeconds'], body(['application/json'])),
      },
    ],
  ];
}

function rootOf(kind: Kind): string {
  return kind.group === '' ? `api/${kind.version}` : `apis/${apiVersionOf(kind)}`;
}

function parameterV2(name: string): Schema {
  return { name, in: 'query', type: 'string', uniqueItems: true };
}

function parameterV3(name: string): Schema {
  return { name, in: 'query', schema: { type: 'string', uniqueItems: true } };
}
