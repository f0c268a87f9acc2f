/** The Helm chart in deploy/, and the plain manifest that is rendered from it. */
import { readdirSync, readFileSync } from 'node:fs';
import { parse, stringify } from 'yaml';
import { configurationSchema } from '../../base/config/schema.ts';
import { CLUSTER_POLICY_CRD } from './cluster-policy-crd.ts';
import { renderTemplate } from './template.ts';

const CHART = new URL('../../../deploy/helm/fairlead/', import.meta.url);
/** Of the plain manifest: its own, since an account that may write leases of a namespace may write all of them. */
export const NAMESPACE = 'fairlead';

const HEAD = `# Fairlead, rendered from deploy/helm/fairlead with its own values by \`npm run generate\`; edit those, or use Helm.
# docs/installation.md says how it is applied, and what else a cluster needs.
`;

export type Values = Readonly<Record<string, unknown>>;

export function chartValues(): Values {
  return parse(read('values.yaml')) as Values;
}

/** @param events whether agents tell pods what policies denied to them, for which they need rights. */
export function valuesWithEvents(events: boolean): Values {
  const values = chartValues();
  return { ...values, configuration: { ...(values['configuration'] as object), policy: { events } } };
}

/** @returns the text of what `kubectl apply` takes: the namespace, and the chart with its own values in it. */
export function renderManifest(): string {
  const namespace = {
    apiVersion: 'v1',
    kind: 'Namespace',
    // Pods of the host's network, with capabilities, are of no stricter standard.
    metadata: { name: NAMESPACE, labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } },
  };
  return `${HEAD}---\n${stringify(namespace)}---\n${renderChart(chartValues(), NAMESPACE)}`;
}

/** @param namespace into which it is installed. @returns the text of all objects. */
export function renderChart(values: Values, namespace: string): string {
  const scope = { Values: values, Release: { Namespace: namespace } };
  const documents = readdirSync(new URL('templates/', CHART))
    .toSorted()
    .map((name) => renderTemplate(read(`templates/${name}`), scope).trim())
    .filter((text) => text !== '');
  return `${documents.join('\n---\n')}\n`;
}

/** @returns the text of the definition that the chart brings; clusters which have one already keep theirs. */
export function clusterPolicyCrd(): string {
  return `# Written by \`npm run generate\` from src/tools/chart/cluster-policy-crd.ts.\n${stringify(CLUSTER_POLICY_CRD, { lineWidth: 0, aliasDuplicateObjects: false })}`;
}

type Schema = Readonly<Record<string, unknown>> & { properties?: Record<string, Schema> };

/** The schema by which Helm checks values: the configuration's keys by the configuration's own. */
export function valuesSchema(): object {
  const { $schema: _, title: __, ...configuration } = configurationSchema() as Schema;
  // These two the chart decides: where probes ask, and in whose namespace agents may write.
  const { metrics: ___, cluster, ...properties } = configuration.properties ?? {};
  const { reportNamespace: ____, ...ofCluster } = cluster?.properties ?? {};
  const text = { type: 'string' };
  const object = (fields: Record<string, object>) => ({
    type: 'object',
    additionalProperties: false,
    properties: fields,
  });
  const port = { type: 'integer', minimum: 1, maximum: 65535 };
  return {
    // Of the drafts that Helm knows the one that all its versions do.
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Values of the Fairlead chart',
    ...object({
      image: { type: 'string', minLength: 1 },
      imagePullPolicy: { enum: ['Always', 'IfNotPresent', 'Never'] },
      imagePullSecrets: { type: 'array', items: object({ name: text }) },
      configuration: {
        ...configuration,
        properties: { ...properties, cluster: { ...cluster, properties: ofCluster } },
      },
      metrics: object({
        address: { enum: ['127.0.0.1', '0.0.0.0', '[::]'] },
        port,
        policyNames: { type: 'boolean' },
      }),
      podMonitor: object({ enabled: { type: 'boolean' } }),
      apiServer: object({ host: text, port }),
      maxUnavailable: {
        oneOf: [
          { type: 'integer', minimum: 1 },
          { type: 'string', pattern: '^[1-9][0-9]?%$|^100%$' },
        ],
      },
      resources: { type: 'object' },
      priorityClassName: text,
      tolerations: { type: 'array', items: { type: 'object' } },
      nodeSelector: { type: 'object', additionalProperties: text },
      capabilities: { type: 'array', items: { type: 'string', pattern: '^[A-Z_]+$' } },
      seLinuxOptions: { type: 'object', additionalProperties: text },
      // What Helm itself adds where this is a part of another chart.
      global: { type: 'object' },
    }),
  };
}

function read(name: string): string {
  return readFileSync(new URL(name, CHART), 'utf8');
}
