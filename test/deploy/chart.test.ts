import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { parseConfiguration } from '../../src/base/config/parse.ts';
import { versionOf } from '../../src/base/version.ts';
import { CLUSTER_POLICY_KIND } from '../../src/cluster/kinds/cluster-policy.ts';
import { dropIns } from '../../src/edge/runtime/host-files.ts';
import {
  chartValues,
  clusterPolicyCrd,
  renderChart,
  renderManifest,
  valuesSchema,
} from '../../src/tools/chart/chart.ts';
import { CLUSTER_POLICY_CRD } from '../../src/tools/chart/cluster-policy-crd.ts';
import { renderTemplate } from '../../src/tools/chart/template.ts';
import { ENTRYPOINT } from '../../src/tools/image/root.ts';
import { agentPod, manifestsOf, ofKind } from './manifest.ts';

type Schema = { properties?: Record<string, Schema>; additionalProperties?: unknown };

const committed = (name: string) => readFileSync(new URL(`../../deploy/${name}`, import.meta.url), 'utf8');

test('what is committed is what the sources give: npm run generate', () => {
  assert.equal(committed('fairlead.yaml'), renderManifest());
  assert.equal(committed('helm/fairlead/crds/clusternetworkpolicies.yaml'), clusterPolicyCrd());
  for (const { path, text } of dropIns('')) assert.equal(committed(path.slice(1)), text);
  assert.deepEqual(JSON.parse(committed('helm/fairlead/values.schema.json')), valuesSchema());
});

test('the Dockerfile starts what the image of npm run image starts', () => {
  const dockerfile = committed('Dockerfile');
  const [, entrypoint = ''] = /^ENTRYPOINT (.*)$/m.exec(dockerfile) ?? [];
  assert.deepEqual(JSON.parse(entrypoint), ENTRYPOINT);
  const setup = readFileSync(new URL('../../scripts/setup.sh', import.meta.url), 'utf8');
  const [, wanted = ''] = /^PACKAGES="(.*)"$/m.exec(setup) ?? [];
  assert.deepEqual(
    wanted.split(' ').filter((name) => !dockerfile.includes(` ${name}`)),
    [],
    'setup.sh would look for these again',
  );
});

test('chart, application and image carry the version of the package', () => {
  const { version, appVersion } = parse(committed('helm/fairlead/Chart.yaml')) as Record<string, string>;
  assert.deepEqual([version, appVersion], [versionOf(), versionOf()]);
  assert.equal(chartValues()['image'], `localhost/fairlead:${versionOf()}`);
});

test('the configuration that the chart writes is one that an agent takes', () => {
  const text = ofKind(manifestsOf(), 'ConfigMap').data!['fairlead.yaml']!;
  const { cluster, cni, metrics, paths } = parseConfiguration(text, 'fairlead.yaml');
  assert.equal(cluster.source, 'kubernetes');
  assert.deepEqual(
    [cni.binDirectory, cni.confDirectory, cni.daemonSet],
    ['/opt/cni/bin', '/etc/cni/net.d', 'fairlead'],
  );
  assert.equal(metrics.address, '127.0.0.1:9630');
  assert.equal(paths.sysctlDirectory, '/host/proc/sys');
});

test('the DaemonSet: every mount has its volume, nothing is privileged, and every node is meant', () => {
  const set = ofKind(manifestsOf(), 'DaemonSet').spec!;
  const { spec } = set.template;
  const volumes = new Set(spec.volumes.map(({ name }) => name));
  for (const container of [...spec.initContainers, ...spec.containers]) {
    for (const { name } of container.volumeMounts) assert.ok(volumes.has(name), name);
    const { capabilities, readOnlyRootFilesystem, allowPrivilegeEscalation, privileged } =
      container.securityContext;
    assert.deepEqual(
      [readOnlyRootFilesystem, allowPrivilegeEscalation, privileged],
      [true, false, undefined],
    );
    assert.deepEqual(capabilities.drop, ['ALL']);
  }
  assert.deepEqual(spec.containers[0]!.securityContext.capabilities.add, [
    'NET_ADMIN',
    'NET_RAW',
    'SYS_ADMIN',
  ]);
  assert.deepEqual(spec.tolerations, [{ operator: 'Exists' }]);
  assert.equal(spec.hostNetwork, true);
  assert.equal(spec.priorityClassName, 'system-node-critical');
  assert.deepEqual(set.selector.matchLabels, set.template.metadata.labels);
});

test('values reach what they are for', () => {
  const values = {
    ...chartValues(),
    apiServer: { host: '192.0.2.1', port: 6443 },
    podMonitor: { enabled: true },
    configuration: {
      ...(chartValues()['configuration'] as object),
      host: { systemdDirectory: '/etc/systemd', networkManagerDirectory: '' },
    },
  };
  const manifests = manifestsOf(renderChart(values, 'network'));
  const { initContainers, containers } = agentPod(manifests);
  assert.ok(initContainers[0]!.volumeMounts.some(({ mountPath }) => mountPath === '/etc/systemd'));
  assert.deepEqual(
    containers[0]!.env!.slice(1).map(({ value }) => value),
    ['192.0.2.1', '6443'],
  );
  assert.equal(ofKind(manifests, 'PodMonitor').metadata.namespace, 'network');
  for (const { subjects = [] } of manifests)
    for (const { namespace } of subjects) assert.equal(namespace, 'network');
});

test('every value and every key of the configuration is in the schema of the values', () => {
  const missing = (
    value: object,
    { properties = {}, additionalProperties }: Schema,
    path: string,
  ): string[] =>
    Object.entries(value).flatMap(([name, inner]: [string, unknown]) => {
      const known = properties[name];
      if (known === undefined) return additionalProperties === false ? [`${path}.${name}`] : [];
      if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return [];
      return missing(inner, known, `${path}.${name}`);
    });
  const wrong = (value: object) => missing(value, valuesSchema(), '');
  assert.deepEqual(wrong(chartValues()), []);
  assert.deepEqual(wrong({ configuration: { vxlan: { prot: 1 } } }), ['.configuration.vxlan.prot']);
  assert.deepEqual(wrong({ configuration: { metrics: {} } }), ['.configuration.metrics']);
});

test('forms of templates that the chart does not use are refused, not rendered wrongly', () => {
  const scope = { Values: { a: 1, empty: [], map: { x: 'y' } } };
  assert.equal(renderTemplate('a: {{ .Values.a }}', scope), 'a: 1');
  assert.equal(renderTemplate('m:\n  {{- toYaml .Values.map | nindent 2 }}', scope), 'm:\n  x: y');
  assert.equal(
    renderTemplate('x\n{{- if .Values.empty }}\ny: {{ .Values.b }}\n{{- end }}\nz', scope),
    'x\nz',
  );
  for (const form of ['include "x" .', '.Values.a | quote', 'range .Values.a', '.Values.b', 'else'])
    assert.throws(() => renderTemplate(`{{ ${form} }}`, scope), /keep to the forms|is not there/);
  assert.throws(() => renderTemplate('{{ if .Values.a }}x', scope), /no end/);
});

test('the definition of ClusterNetworkPolicy is of the kind that agents watch', () => {
  const { group, names, versions } = CLUSTER_POLICY_CRD.spec;
  assert.equal(CLUSTER_POLICY_KIND.path, `/apis/${group}/${versions[0]!.name}/${names.plural}`);
  assert.equal(CLUSTER_POLICY_CRD.metadata.name, `${names.plural}.${group}`);
});
