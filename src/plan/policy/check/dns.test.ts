import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PolicyPod } from '../parse/objects.ts';
import { parseNetworkPolicy } from '../parse/parse-network-policy.ts';
import type { Surroundings } from './check.ts';
import { findMissingDns } from './dns.ts';

function server(name: string, hostNetwork: boolean): PolicyPod {
  const labels = { 'k8s-app': name };
  return { namespace: 'kube-system', name, labels, podIPs: [], hostNetwork, phase: 'Running', ports: [] };
}

function mistakesOf(to: object | undefined, pods: readonly PolicyPod[]): string[] {
  const rule = { ...(to === undefined ? {} : { to: [to] }), ports: [{ port: 53, protocol: 'UDP' }] };
  const { policy } = parseNetworkPolicy('shop', 'web', {
    spec: { podSelector: {}, policyTypes: ['Egress'], egress: [rule] },
  });
  const around: Surroundings = {
    pods,
    namespaces: [],
    policies: [policy],
    clusterPolicies: [],
    complete: true,
  };
  return findMissingDns(policy, around).map(({ text }) => text);
}

test('a name server on the node is no pod to a policy: DNS to pods alone does not reach it', () => {
  const pods = [server('kube-dns', false), server('node-local-dns', true)];
  const everyPod = { namespaceSelector: {} };
  assert.match(
    mistakesOf(everyPod, pods).join(),
    /to pods alone, while kube-system\/node-local-dns answers it in the network of the node: .*ipBlock/,
  );
  assert.deepEqual(mistakesOf({ ipBlock: { cidr: '169.254.20.10/32' } }, pods), []);
  assert.deepEqual(mistakesOf(undefined, pods), []);
  assert.deepEqual(mistakesOf(everyPod, pods.slice(0, 1)), [], 'there is none on the node');
});
