import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIp } from '../../../base/ip/ip.ts';
import { runToEnd } from '../../../base/run/slices.ts';
import type { PolicyPod } from '../parse/objects.ts';
import { parseClusterPolicy } from '../parse/parse-cluster-policy.ts';
import { parseNetworkPolicy } from '../parse/parse-network-policy.ts';
import { describeClashes } from './clash.ts';
import type { Compiled, PolicyInput } from './compile.ts';
import { evaluate } from './evaluate.ts';
import { type Attached, type Here, openNodeCompiler } from './node.ts';

const [OWN, OTHER] = ['10.244.0.2', '10.244.1.9'].map((ip) => parseIp(ip)) as [
  ReturnType<typeof parseIp>,
  ReturnType<typeof parseIp>,
];
const NODE: Here = { name: 'node-1', ips: ['192.168.1.2', '172.17.0.1', 'fe80::1'].map((ip) => parseIp(ip)) };

function pod(name: string, ip: string, more: Partial<PolicyPod> = {}): PolicyPod {
  return {
    namespace: 'shop',
    name,
    labels: { app: name },
    podIPs: [parseIp(ip)],
    hostNetwork: false,
    phase: 'Running',
    ports: [],
    ...more,
  };
}

function policy(name: string, spec: object) {
  return parseNetworkPolicy('shop', name, { spec }).policy;
}

function compileHere(input: Partial<PolicyInput>, attached: readonly Attached[]): Compiled {
  const nothing = { pods: [], namespaces: [], policies: [], clusterPolicies: [], nodes: [] };
  return runToEnd(openNodeCompiler().compile({ ...nothing, ...input }, attached, NODE));
}

function allows(compiled: Compiled, source: string, destination: string, port = 80): boolean {
  const [from, to] = [source, destination].map((ip) => parseIp(ip)) as [typeof OWN, typeof OWN];
  return evaluate(compiled, { source: from, destination: to, protocol: 'TCP', port }).allowed;
}

const attachedAs = (name: string, link?: string): Attached => ({
  pod: { namespace: 'shop', name },
  ips: [OWN],
  ...(link === undefined ? {} : { link }),
});

for (const phase of ['Failed', 'Succeeded'])
  test(`a pod that is ${phase} and still attached stays isolated, and is no peer of others`, () => {
    const compiled = compileHere(
      {
        pods: [pod('web', '10.244.0.2', { phase }), pod('db', '10.244.0.3')],
        policies: [
          policy('closed', { podSelector: { matchLabels: { app: 'web' } } }),
          policy('db', {
            podSelector: { matchLabels: { app: 'db' } },
            ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }] }],
          }),
        ],
      },
      [attachedAs('web'), { pod: { namespace: 'shop', name: 'db' }, ips: [parseIp('10.244.0.3')] }],
    );
    assert.equal(allows(compiled, OTHER, OWN), false);
    assert.equal(allows(compiled, OWN, '10.244.0.3'), false);
  });

test('of two pods with one address the one that is not being deleted counts, else the newer one, and both are named', () => {
  const claims: [PolicyPod, PolicyPod][] = [
    [pod('a', OTHER, { created: 1 }), pod('z', OTHER, { created: 9, deleting: true })],
    [pod('a', OTHER, { created: 9 }), pod('z', OTHER, { created: 1 })],
  ];
  const policies = [
    policy('from-a', {
      podSelector: { matchLabels: { app: 'web' } },
      ingress: [{ from: [{ podSelector: { matchLabels: { app: 'a' } } }] }],
    }),
  ];
  for (const claim of claims)
    for (const pods of [claim, claim.toReversed()]) {
      const compiled = compileHere({ pods: [pod('web', OWN), ...pods], policies }, [attachedAs('web')]);
      assert.equal(allows(compiled, OTHER, OWN), true);
      assert.deepEqual(describeClashes(compiled.population), [
        'address 10.244.1.9 is in the status of several pods: rules mean shop/a by it, and not shop/z; delete the one that has ended',
      ]);
    }
});

test('a pod that is attached here is isolated, and a peer, whoever else claims its address', () => {
  const compiled = compileHere(
    {
      pods: [pod('web', '10.244.7.7'), pod('zombie', OWN, { created: 9 }), pod('db', '10.244.0.3')],
      policies: [
        policy('web', { podSelector: { matchLabels: { app: 'web' } } }),
        policy('db', {
          podSelector: { matchLabels: { app: 'db' } },
          ingress: [{ from: [{ podSelector: { matchLabels: { app: 'zombie' } } }] }],
        }),
      ],
    },
    [attachedAs('web'), { pod: { namespace: 'shop', name: 'db' }, ips: [parseIp('10.244.0.3')] }],
  );
  assert.equal(allows(compiled, OTHER, OWN), false);
  assert.equal(allows(compiled, OWN, '10.244.0.3'), false, 'it is not the zombie');
});

test('the own node is egress by all its addresses, and its pods are open to it', () => {
  const closed = policy('closed', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
  const compiled = compileHere({ pods: [pod('web', OWN)], policies: [closed] }, [attachedAs('web', 'fl0')]);
  for (const ip of ['192.168.1.2', '172.17.0.1']) {
    assert.equal(allows(compiled, OWN, ip), false);
    assert.equal(allows(compiled, ip, OWN), true);
  }
  assert.equal(allows(compiled, '192.168.1.3', OWN), false, 'another node');
  assert.deepEqual(compiled.pods[0]!.links, ['fl0']);
});

test('a cluster policy that means the own node means addresses that it does not report', () => {
  const { policy: deny } = parseClusterPolicy('deny', {
    spec: {
      tier: 'Admin',
      priority: 1,
      subject: { namespaces: {} },
      egress: [{ action: 'Deny', to: [{ nodes: { matchLabels: { role: 'worker' } } }] }],
    },
  });
  const reported = { name: 'node-1', labels: { role: 'worker' }, ips: [parseIp('192.168.1.2')] };
  const compiled = compileHere(
    {
      pods: [pod('web', OWN)],
      namespaces: [{ name: 'shop', labels: {} }],
      clusterPolicies: [deny],
      nodes: [reported],
    },
    [attachedAs('web')],
  );
  for (const ip of ['192.168.1.2', '172.17.0.1']) assert.equal(allows(compiled, OWN, ip), false);
  assert.equal(allows(compiled, OWN, '192.168.1.3'), true);
});

test('a pod in a namespace that is not known is closed by policies of the cluster, whatever they select', () => {
  const pods = [pod('web', '10.244.0.2'), pod('peer', OTHER)];
  const none = parseClusterPolicy('none', {
    spec: {
      tier: 'Admin',
      priority: 1,
      subject: { namespaces: { matchLabels: { tenant: 'a' } } },
      ingress: [{ action: 'Deny', from: [{ namespaces: {} }] }],
    },
  }).policy;
  const isOpen = (input: Partial<PolicyInput>) =>
    allows(compileHere({ pods, ...input }, [attachedAs('web')]), OTHER, OWN);
  assert.equal(isOpen({ clusterPolicies: [none] }), false, 'its labels may be those');
  const namespaces = [{ name: 'shop', labels: {} }];
  assert.equal(isOpen({ clusterPolicies: [none], namespaces }), true, 'they are others');
  assert.equal(isOpen({}), true, 'no policy of the cluster');
});
