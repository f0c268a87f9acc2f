/** Mistakes in policies: each is found by its name, and policies as people rightly write them have none. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseIp } from '../../src/base/ip/ip.ts';
import { MISTAKES } from '../../src/plan/policy/check/check.ts';
import type { PolicyInput } from '../../src/plan/policy/compile/compile.ts';
import { checkManifests, NO_CLUSTER } from '../../src/tools/manifests/check-manifests.ts';
import { parseManifests } from '../../src/tools/manifests/manifests.ts';
import { readProposedPods } from '../../src/tools/manifests/proposed-pods.ts';

const WORLD = `
{ apiVersion: v1, kind: Namespace, metadata: { name: shop, labels: { team: sales } } }
---
{ apiVersion: v1, kind: Namespace, metadata: { name: watch, labels: { team: ops } } }
---
{ apiVersion: v1, kind: Namespace, metadata: { name: kube-system } }
---
{ apiVersion: v1, kind: Namespace, metadata: { name: new, labels: { team: new } } }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop }
spec: { template: { metadata: { labels: { app: web, tier: front } }, spec: { containers: [{ name: web, ports: [{ name: http, containerPort: 8080 }] }] } } }
---
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: db, namespace: shop }
spec: { template: { metadata: { labels: { app: db } }, spec: { containers: [{ name: db, ports: [{ name: sql, containerPort: 5432 }] }] } } }
---
apiVersion: apps/v1
kind: DaemonSet
metadata: { name: exporter, namespace: watch }
spec: { template: { metadata: { labels: { app: exporter } }, spec: { hostNetwork: true, containers: [{ name: e }] } } }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: prometheus, namespace: watch }
spec: { template: { metadata: { labels: { app: prometheus } }, spec: { containers: [{ name: p }] } } }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: coredns, namespace: kube-system }
spec: { template: { metadata: { labels: { k8s-app: kube-dns } }, spec: { containers: [{ name: dns, ports: [{ name: dns, containerPort: 53, protocol: UDP }, { name: dns-tcp, containerPort: 53 }] }] } } }
`;

const world = readProposedPods(parseManifests(WORLD, 'world.yaml'));
const CLUSTER: PolicyInput = {
  ...NO_CLUSTER,
  namespaces: world.namespaces,
  pods: world.pods.map((pod, index) => ({
    ...pod,
    podIPs: [parseIp(`10.244.0.${index + 2}`)],
    phase: 'Running',
  })),
};

function policy(spec: string, metadata = 'name: p, namespace: shop'): string {
  return `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: { ${metadata} }\nspec: ${spec}\n`;
}

function clusterPolicy(name: string, spec: string): string {
  return `apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: { name: ${name} }\nspec: ${spec}\n`;
}

function found(yaml: string, cluster = CLUSTER): string[] {
  return checkManifests(parseManifests(yaml, 'p.yaml'), cluster).map(
    ({ mistake, text }) => `${mistake}: ${text}`,
  );
}

const WEB = 'podSelector: { matchLabels: { app: web } }';
const ALL_NAMESPACES = 'subject: { namespaces: {} }';

/** What is written, and all that is said of it. */
const CASES: readonly [what: string, yaml: string, wanted: readonly RegExp[]][] = [
  [
    'except outside of its range',
    policy(`{ ${WEB}, ingress: [{ from: [{ ipBlock: { cidr: 10.0.0.0/8, except: [192.168.0.0/16] } }] }] }`),
    [/^invalid: p\.yaml:1: .*except\[0\]: 192\.168\.0\.0\/16 is not within 10\.0\.0\.0\/8/],
  ],
  [
    'a version that is not served',
    policy(`{ ${WEB} }`).replace('io/v1', 'io/v1beta1'),
    [/^invalid: .*write networking\.k8s\.io\/v1$/],
  ],
  [
    'a priority beyond the range',
    clusterPolicy('c', `{ tier: Admin, priority: 1001, ${ALL_NAMESPACES} }`),
    [/^invalid: .*spec\.priority: 1001 is none; write 0 to 1000/],
  ],
  [
    'a misspelt field: the rule is for everybody',
    policy(`{ ${WEB}, ingress: [{ form: [{ podSelector: {} }] }] }`),
    [/^unknown-field: spec\.ingress\[0\]\.form is no field and is ignored; did you mean from\?/],
  ],
  [
    'an unknown field of an invalid policy',
    policy(`{ ${WEB}, ingress: [{ from: [{ podSelecter: {} }] }] }`),
    [/^invalid: /, /^unknown-field: .*podSelecter.* did you mean podSelector\?/],
  ],
  [
    'from with nothing in it',
    policy(`{ ${WEB}, ingress: [{ from: , ports: [{ port: 80 }] }] }`),
    [/^empty-list: ingress\[0\]\.from is empty, which means everybody/],
  ],
  [
    'staged by a label',
    policy(`{ ${WEB} }`, 'name: p, namespace: shop, labels: { fairlead.io/staged: "true" }'),
    [/^staging: fairlead\.io\/staged is a label/],
  ],
  [
    'staged by "no"',
    policy(`{ ${WEB} }`, 'name: p, namespace: shop, annotations: { fairlead.io/staged: "no" }'),
    [/^staging: annotation fairlead\.io\/staged: "no" stages the policy/],
  ],
  [
    'a misspelt value',
    policy('{ podSelector: { matchLabels: { app: wbe } } }'),
    [/^selects-nothing: selects no pod: none has app=wbe, did you mean app=web\?/],
  ],
  [
    'a misspelt key',
    policy('{ podSelector: { matchLabels: { teir: front } } }'),
    [/^selects-nothing: selects no pod: none has a label teir, did you mean tier\?/],
  ],
  [
    'the namespace is forgotten',
    policy(`{ ${WEB} }`, 'name: p'),
    [
      /^selects-nothing: selects no pod: namespace default has no pods; pods with these labels are in namespace shop/,
    ],
  ],
  [
    'a misspelt namespace',
    policy('{ podSelector: {} }', 'name: p, namespace: shpo'),
    [/^selects-nothing: selects no pod: there is no namespace shpo; did you mean shop\?/],
  ],
  [
    'pods in the network of their node',
    policy('{ podSelector: { matchLabels: { app: exporter } } }', 'name: p, namespace: watch'),
    [/^host-network: /],
  ],
  [
    'rules that policyTypes leave out',
    policy(`{ ${WEB}, policyTypes: [Ingress], egress: [{ ports: [{ port: 53, protocol: UDP }] }] }`),
    [/^ignored-rules: has egress rules, and policyTypes without Egress/],
  ],
  [
    'policyTypes without rules',
    policy(`{ ${WEB}, policyTypes: [Ingress, Egress], ingress: [{}] }`),
    [/^closed-direction: allows some ingress and no egress at all/],
  ],
  [
    'no policyTypes beside egress',
    policy(`{ ${WEB}, egress: [{ ports: [{ port: 53, protocol: UDP }] }] }`),
    [/^closed-direction: allows some egress and no ingress at all/],
  ],
  [
    'egress without DNS',
    policy(
      `{ ${WEB}, policyTypes: [Egress], egress: [{ to: [{ podSelector: { matchLabels: { app: db } } }] }] }`,
    ),
    [/^no-dns: /],
  ],
  [
    'egress to namespaces that have no name server',
    policy(
      `{ ${WEB}, policyTypes: [Egress], egress: [{ to: [{ namespaceSelector: { matchLabels: { team: ops } } }] }] }`,
    ),
    [/^no-dns: /],
  ],
  [
    'egress with ports, and without DNS',
    policy(`{ ${WEB}, policyTypes: [Egress], egress: [{ ports: [{ port: 443 }, { port: 53 }] }] }`),
    [/^no-dns: /],
  ],
  [
    'an empty rule beside others',
    policy(`{ ${WEB}, ingress: [{}, { from: [{ podSelector: {} }] }] }`),
    [/^open-rule: ingress\[0\] is an empty rule/],
  ],
  [
    'a peer that is nobody',
    policy(`{ ${WEB}, ingress: [{ from: [{ podSelector: { matchLabels: { app: bd } } }] }] }`),
    [/^peer-selects-nothing: ingress\[0\]\.from\[0\] means no pod: none has app=bd, did you mean app=db\?/],
  ],
  [
    'a peer in no namespace',
    policy(`{ ${WEB}, ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: opps } } }] }] }`),
    [/^peer-selects-nothing: .*means no namespace: none has team=opps, did you mean team=ops\?/],
  ],
  [
    'a peer in the network of its node',
    policy(
      `{ ${WEB}, ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: ops } }, podSelector: { matchLabels: { app: exporter } } }] }] }`,
    ),
    [/^peer-selects-nothing: .*network of their node/],
  ],
  [
    'two items where one was meant',
    policy(
      `{ ${WEB}, ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: ops } } }, { podSelector: { matchLabels: { app: prometheus } } }] }] }`,
    ),
    [/^separate-items: ingress\[0\]\.from\[0\] means every pod of those namespaces/],
  ],
  [
    "a pod's address",
    policy(`{ ${WEB}, ingress: [{ from: [{ ipBlock: { cidr: 10.244.0.3/32 } }] }] }`),
    [/^pod-address: ingress\[0\]\.from\[0\] is the address of pod shop\/db/],
  ],
  [
    'a misspelt port',
    policy(`{ ${WEB}, ingress: [{ ports: [{ port: htpp }] }] }`),
    [/^port-name: ingress\[0\]\.ports: none of the pods .* called htpp; did you mean http\?/],
  ],
  [
    'a misspelt port of egress',
    policy(
      `{ ${WEB}, policyTypes: [Egress], egress: [{ to: [{ podSelector: { matchLabels: { app: db } } }], ports: [{ port: sqll }] }, { ports: [{ port: 53, protocol: UDP }] }] }`,
    ),
    [/^port-name: egress\[0\]\.ports: .*did you mean sql\?/],
  ],
  [
    'a port of another protocol',
    policy(`{ ${WEB}, ingress: [{ ports: [{ port: http, protocol: UDP }] }] }`),
    [/^port-protocol: .*http is a port of TCP there, not of UDP/],
  ],
  [
    'twins, with their parts in another order',
    `${policy(`{ ${WEB}, ingress: [{ ports: [{ port: 1 }, { port: 2 }] }] }`)}---\n${policy(`{ ${WEB}, ingress: [{ ports: [{ port: 2 }, { port: 1 }] }] }`, 'name: q, namespace: shop')}`,
    [/^twins: says the same as shop\/q/],
  ],
  [
    'two of one name',
    `${policy(`{ ${WEB}, ingress: [{ ports: [{ port: 1 }] }] }`)}---\n${policy(`{ ${WEB}, ingress: [{ ports: [{ port: 2 }] }] }`)}`,
    [/^same-name: /],
  ],
  [
    'two of one priority',
    `${clusterPolicy('a', `{ tier: Admin, priority: 5, ${ALL_NAMESPACES} }`)}---\n${clusterPolicy('b', `{ tier: Admin, priority: 5, ${ALL_NAMESPACES} }`)}`,
    [/^same-priority: has priority 5 in its tier as b has/, /^same-priority: .* as a has/],
  ],
  [
    'a rule behind one that means all that it means',
    clusterPolicy(
      'c',
      `{ tier: Admin, priority: 5, ${ALL_NAMESPACES}, ingress: [{ action: Deny, from: [{ namespaces: {} }] }, { action: Accept, from: [{ pods: { podSelector: { matchLabels: { app: web } } } }], protocols: [{ tcp: { destinationPort: { number: 80 } } }] }] }`,
    ),
    [/^shadowed: ingress\[1\] never decides: ingress\[0\] is asked first/],
  ],
  [
    'a policy behind another one',
    `${clusterPolicy('first', `{ tier: Baseline, priority: 1, ${ALL_NAMESPACES}, egress: [{ action: Deny, to: [{ networks: [10.0.0.0/8] }], protocols: [{ tcp: { destinationPort: { range: { start: 1, end: 1000 } } } }] }] }`)}---\n${clusterPolicy('second', `{ tier: Baseline, priority: 2, subject: { namespaces: { matchLabels: { team: sales } } }, egress: [{ action: Accept, to: [{ networks: [10.1.0.0/16] }], protocols: [{ tcp: { destinationPort: { number: 80 } } }] }] }`)}`,
    [/^shadowed: egress\[0\] never decides: first egress\[0\] is asked first/],
  ],
  [
    'a cluster policy about nobody',
    clusterPolicy(
      'c',
      '{ tier: Admin, priority: 5, subject: { pods: { podSelector: { matchLabels: { app: wbe } } } } }',
    ),
    [/^selects-nothing: .*did you mean app=web\?/],
  ],
  [
    'a port that nobody has, of a cluster policy',
    clusterPolicy(
      'c',
      `{ tier: Admin, priority: 5, ${ALL_NAMESPACES}, ingress: [{ action: Deny, from: [{ namespaces: {} }], protocols: [{ destinationNamedPort: htpp }] }] }`,
    ),
    [/^port-name: .*did you mean http\?/],
  ],
];

for (const [what, yaml, wanted] of CASES) {
  test(`found: ${what}`, () => {
    const texts = found(yaml);
    assert.equal(texts.length, wanted.length, texts.join('\n'));
    wanted.forEach((pattern, index) => {
      assert.match(texts[index]!, pattern);
    });
  });
}

/** As in the documentation of Kubernetes, and in what people keep. */
const SANE: readonly [what: string, yaml: string][] = [
  ['deny all', policy('{ podSelector: {}, policyTypes: [Ingress, Egress] }')],
  ['deny all ingress', policy('{ podSelector: {}, policyTypes: [Ingress] }')],
  ['allow all ingress', policy('{ podSelector: {}, ingress: [{}] }')],
  ['allow all egress', policy('{ podSelector: {}, policyTypes: [Egress], egress: [{}] }')],
  [
    'the example of the documentation',
    policy(
      `{ podSelector: { matchLabels: { app: db } }, policyTypes: [Ingress, Egress],
         ingress: [{ from: [{ ipBlock: { cidr: 172.17.0.0/16, except: [172.17.1.0/24] } }, { namespaceSelector: { matchLabels: { team: ops } } }, { podSelector: { matchLabels: { app: web } } }], ports: [{ protocol: TCP, port: 5432 }] }],
         egress: [{ to: [{ ipBlock: { cidr: 10.0.0.0/24 } }], ports: [{ protocol: TCP, port: 5978 }] }, { ports: [{ protocol: UDP, port: 53 }] }] }`,
    ),
  ],
  [
    'DNS for everybody, and a database for one',
    `${policy('{ podSelector: {}, policyTypes: [Egress], egress: [{ to: [{ namespaceSelector: {}, podSelector: { matchLabels: { k8s-app: kube-dns } } }], ports: [{ port: 53, protocol: UDP }, { port: 53, protocol: TCP }] }] }', 'name: dns, namespace: shop')}---\n${policy(`{ ${WEB}, policyTypes: [Egress], egress: [{ to: [{ podSelector: { matchLabels: { app: db } } }], ports: [{ port: sql }] }] }`)}`,
  ],
  [
    'DNS for everybody by a cluster policy',
    `${clusterPolicy('dns', `{ tier: Admin, priority: 10, ${ALL_NAMESPACES}, egress: [{ action: Accept, to: [{ namespaces: { matchLabels: { kubernetes.io/metadata.name: kube-system } } }], protocols: [{ udp: { destinationPort: { number: 53 } } }] }] }`)}---\n${policy(`{ ${WEB}, policyTypes: [Egress], egress: [{ to: [{ podSelector: { matchLabels: { app: db } } }] }] }`)}`,
  ],
  [
    'a namespace before its pods',
    policy(
      '{ podSelector: {}, ingress: [{ from: [{ podSelector: {} }, { namespaceSelector: { matchLabels: { team: new } } }] }] }',
      'name: p, namespace: new',
    ),
  ],
  [
    'either of two peers, both of them there',
    policy(
      `{ ${WEB}, ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: sales } } }, { podSelector: { matchLabels: { app: db } } }] }] }`,
    ),
  ],
  [
    'cluster policies about others, and ranges beside each other',
    ['sales', 'ops']
      .map((team, index) =>
        clusterPolicy(
          team,
          `{ tier: Admin, priority: ${index}, subject: { namespaces: { matchLabels: { team: ${team} } } }, egress: [{ action: Accept, to: [{ networks: [10.1.0.0/16] }] }, { action: Deny, to: [{ networks: [10.0.0.0/8] }] }] }`,
        ),
      )
      .join('---\n'),
  ],
  [
    'monitoring from another namespace',
    policy(
      '{ podSelector: {}, ingress: [{ from: [{ namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: watch } }, podSelector: { matchLabels: { app: prometheus } } }] }] }',
    ),
  ],
  ['one namespace to itself', policy('{ podSelector: {}, ingress: [{ from: [{ podSelector: {} }] }] }')],
  ['the world to a web server', policy(`{ ${WEB}, ingress: [{ ports: [{ port: http }, { port: 443 }] }] }`)],
  [
    'no egress, said in so many words',
    policy(`{ ${WEB}, policyTypes: [Ingress, Egress], ingress: [{ ports: [{ port: http }] }], egress: [] }`),
  ],
  [
    'the world but for the private ranges, names by TCP and UDP',
    policy(
      '{ podSelector: {}, policyTypes: [Egress], egress: [{ to: [{ ipBlock: { cidr: 0.0.0.0/0, except: [10.0.0.0/8, 192.168.0.0/16] } }] }, { to: [{ namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: kube-system } } }], ports: [{ port: 53, protocol: UDP }, { port: 53 }] }] }',
    ),
  ],
  [
    'a staged policy',
    policy(
      `{ ${WEB}, policyTypes: [Ingress] }`,
      'name: p, namespace: shop, annotations: { fairlead.io/staged: "true" }',
    ),
  ],
  [
    'tiers of a cluster',
    `${clusterPolicy('guard', `{ tier: Admin, priority: 10, ${ALL_NAMESPACES}, ingress: [{ action: Accept, from: [{ namespaces: { matchLabels: { team: ops } } }] }, { action: Pass, from: [{ namespaces: { matchLabels: { team: sales } } }] }, { action: Deny, from: [{ namespaces: {} }] }] }`)}---\n${clusterPolicy('base', `{ tier: Baseline, priority: 10, ${ALL_NAMESPACES}, ingress: [{ action: Deny, from: [{ namespaces: {} }] }] }`)}`,
  ],
];

for (const [what, yaml] of SANE) {
  test(`no mistake: ${what}`, () => {
    assert.deepEqual(found(yaml), []);
    assert.deepEqual(found(yaml, NO_CLUSTER), [], 'without a cluster');
    assert.deepEqual(found(`${WORLD}---\n${yaml}`, NO_CLUSTER), [], 'beside its workloads');
  });
}

test('without a cluster, pods of the same files are those that policies are held against', () => {
  const yaml = policy('{ podSelector: { matchLabels: { app: wbe } } }');
  assert.deepEqual(found(yaml, NO_CLUSTER), []);
  assert.match(found(`${WORLD}---\n${yaml}`, NO_CLUSTER)[0]!, /^selects-nothing: .*did you mean app=web\?/);
});

test('every mistake has a case here and a line in docs/policy.md', () => {
  const said = new Set(CASES.flatMap(([, yaml]) => found(yaml).map((text) => text.split(':')[0]!)));
  assert.deepEqual([...said].toSorted(), MISTAKES.toSorted());
  const guide = readFileSync(join(import.meta.dirname, '../../docs/policy.md'), 'utf8');
  const documented = [...guide.matchAll(/^\| `([a-z-]+)` \|/gm)].map((match) => match[1]!);
  assert.deepEqual(documented.toSorted(), MISTAKES.toSorted());
});
