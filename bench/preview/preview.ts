/** What people wait for before they apply a policy: the matrix, the preview, the check, and a test on real packets. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FAIRLEAD } from '../../lab/processes.ts';
import { parseIp } from '../../src/base/ip/ip.ts';
import { crowdsOf } from '../../src/plan/policy/answer/crowd.ts';
import { diffPolicies } from '../../src/plan/policy/answer/diff.ts';
import { crowdMatrix, matrixOf } from '../../src/plan/policy/answer/matrix.ts';
import { checkPolicies } from '../../src/plan/policy/check/check.ts';
import { compile, type PolicyInput } from '../../src/plan/policy/compile/compile.ts';
import { parseNetworkPolicy } from '../../src/plan/policy/parse/parse-network-policy.ts';
import { type Bench, type Case, summarize } from '../shared/bench.ts';

const PODS = 5000;
const NAMESPACES = 100;
const APPS = 10;
const ROUNDS = 5;
/** Milliseconds that a person waits without wondering, and what a test in CI may take. */
const PATIENCE = 5000;
const TEST_BUDGET = 15_000;

export const preview: Bench = {
  name: 'preview',
  summary: `policy matrix, diff and check of ${PODS} pods; lab test of 30 pods`,
  run: (tell) => {
    const input = cluster();
    const written = input.policies.map((policy) => ({ policy, written: {}, valid: true }));
    const more = specOf('ns-5', 'more', { podSelector: app(1), ingress: [{ ports: [{ port: 9090 }] }] });
    const measure = (name: string, work: () => unknown): Case => {
      tell(name);
      const times = Array.from({ length: ROUNDS }, () => {
        const began = performance.now();
        work();
        return performance.now() - began;
      });
      return summarize(name, 'time', 'ms', times);
    };
    const cases = [
      measure('matrix of one pod', () => matrixOf(input, 'ns-5/pod-105')),
      measure('matrix of the cluster', () => crowdMatrix(input)),
      measure('diff of one policy', () =>
        diffPolicies(input, { ...input, policies: [...input.policies, more] }),
      ),
      measure('check of all policies', () => checkPolicies(written, [], { ...input, complete: true })),
      measure('lab test of 30 pods, 870 questions', testThirty),
    ];
    const [pod, , diff, check, test] = cases.map(({ median }) => median);
    return Promise.resolve({
      cases,
      ratios: [
        { key: 'pod_matrix_vs_5s', value: pod! / PATIENCE, budget: 1 },
        { key: 'diff_vs_5s', value: diff! / PATIENCE, budget: 1 },
        { key: 'check_vs_5s', value: check! / PATIENCE, budget: 1 },
        { key: 'lab_test_vs_15s', value: test! / TEST_BUDGET, budget: 1 },
      ],
      notes: [
        `${PODS} pods in ${NAMESPACES} namespaces, ${input.policies.length} policies, which tell ` +
          `${crowdsOf(input.pods, [compile(input)]).length} groups of pods apart`,
      ],
    });
  },
};

/** Each pod has a label of its own, as those of StatefulSets do; each namespace is closed, and each app has its callers. */
function cluster(): PolicyInput {
  const pods = Array.from({ length: PODS }, (_, index) => ({
    namespace: `ns-${index % NAMESPACES}`,
    name: `pod-${index}`,
    labels: {
      ...app(Math.floor(index / NAMESPACES) % APPS).matchLabels,
      'statefulset.kubernetes.io/pod-name': `pod-${index}`,
    },
    podIPs: [parseIp(`10.244.${index >> 8}.${index & 255}`)],
    hostNetwork: false,
    phase: 'Running',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' as const }],
  }));
  const names = Array.from({ length: NAMESPACES }, (_, index) => `ns-${index}`);
  return {
    pods,
    namespaces: names.map((name, index) => ({ name, labels: { team: `team-${index % APPS}` } })),
    policies: names.flatMap((name, index) => [
      specOf(name, 'closed', { podSelector: {}, policyTypes: ['Ingress'] }),
      ...Array.from({ length: APPS - 1 }, (_, number) =>
        specOf(name, `app-${number}`, {
          podSelector: app(number),
          ingress: [
            {
              from: [
                { podSelector: app(number + 1) },
                { namespaceSelector: { matchLabels: { team: `team-${index % APPS}` } }, podSelector: app(0) },
              ],
              ports: [{ port: 'http' }],
            },
          ],
        }),
      ),
    ]),
    clusterPolicies: [],
    nodes: [],
  };
}

function app(number: number) {
  return { matchLabels: { app: `app-${number}` } };
}

function specOf(namespace: string, name: string, spec: object) {
  return parseNetworkPolicy(namespace, name, { spec }).policy;
}

/** From nothing to the verdict, as CI runs it. */
function testThirty(): void {
  const directory = mkdtempSync(join(tmpdir(), 'fairlead-preview-'));
  const pods = ['shop', 'pay', 'watch'].flatMap((namespace) =>
    Array.from({ length: 10 }, (_, index) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: `p${index}`, namespace, labels: { app: `a${index % 5}` } },
      spec: { containers: [{ name: 'c', image: 'any', ports: [{ name: 'http', containerPort: 80 }] }] },
    })),
  );
  const policies = ['shop', 'pay'].flatMap((namespace) =>
    [
      { name: 'closed', spec: { podSelector: {}, policyTypes: ['Ingress'] } },
      {
        name: 'web',
        spec: { podSelector: { matchLabels: { app: 'a0' } }, ingress: [{ ports: [{ port: 'http' }] }] },
      },
    ].map(({ name, spec }) => ({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name, namespace },
      spec,
    })),
  );
  const open = pods
    .filter(({ metadata: { namespace, labels } }) => namespace === 'watch' || labels.app === 'a0')
    .map(({ metadata: { namespace, name } }) => `${namespace}/${name}`);
  const expectations = { expect: [{ from: '*', to: open, port: 80, allow: true }], otherwise: 'deny' };
  try {
    writeFileSync(
      join(directory, 'list.json'),
      JSON.stringify({ kind: 'List', items: [...pods, ...policies] }),
    );
    writeFileSync(join(directory, 'expect.json'), JSON.stringify(expectations));
    execFileSync(FAIRLEAD, ['lab', 'test', directory], { stdio: ['ignore', 'ignore', 'pipe'] });
  } finally {
    rmSync(directory, { recursive: true });
  }
}
