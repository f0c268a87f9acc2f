/** A compiler that has seen the cluster change says the same as one that sees it for the first time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseIp } from '../../src/base/ip/ip.ts';
import { runToEnd } from '../../src/base/run/slices.ts';
import { openRenderer } from '../../src/datapath/nftables/policy/render.ts';
import { elementChanges } from '../../src/edge/nftables/diff.ts';
import type { Table } from '../../src/edge/nftables/objects.ts';
import { type Compiled, compile, openCompiler } from '../../src/plan/policy/compile/compile.ts';
import { openTabulator } from '../../src/plan/policy/compile/table.ts';
import type { PolicyPod } from '../../src/plan/policy/parse/objects.ts';
import { parseNetworkPolicy } from '../../src/plan/policy/parse/parse-network-policy.ts';
import { casesOf, inBatches } from './seeds.ts';
import { histories } from './worlds.ts';

const CASES = casesOf('FAIRLEAD_POLICY_CASES', 300);

test(`${CASES} random histories: incremental equals full`, (t) =>
  inBatches(t, CASES, (parameters) =>
    fc.assert(
      fc.property(histories(6), (history) => {
        const compiler = openCompiler();
        const render = openRendering();
        for (const input of history) {
          const table = render(runToEnd(compiler.compile(input)));
          assert.deepEqual(sorted(table), sorted(openRendering()(compile(input))));
        }
      }),
      parameters,
    ),
  ));

test('what no change has touched is the same object', () => {
  fc.assert(
    fc.property(histories(6), ([input]) => {
      const compiler = openCompiler();
      const before = runToEnd(compiler.compile(input!));
      const again = runToEnd(compiler.compile({ ...input!, pods: [...input!.pods] }));
      for (const [index, { ingress, egress }] of before.pods.entries()) {
        assert.equal(again.pods[index]!.ingress, ingress);
        assert.equal(again.pods[index]!.egress, egress);
      }
    }),
    { numRuns: 100 },
  );
});

test('a pod that comes among others like it is one element more', () => {
  const compiler = openCompiler();
  const rendering = openRendering();
  const pod = (name: string, ip: string): PolicyPod => ({
    namespace: 'default',
    name,
    labels: { app: name.replace(/-.*/, '') },
    podIPs: [parseIp(ip)],
    hostNetwork: false,
    phase: 'Running',
    ports: [],
  });
  const { policy } = parseNetworkPolicy('default', 'web', {
    spec: { podSelector: { matchLabels: { app: 'web' } }, ingress: [{ from: [{ podSelector: {} }] }] },
  });
  const web = pod('web-1', '10.244.0.2');
  const render = (...pods: PolicyPod[]) =>
    rendering(
      runToEnd(
        compiler.compile({ pods, namespaces: [], policies: [policy], clusterPolicies: [], nodes: [] }, [web]),
      ),
    );
  const one = pod('client-1', '10.244.0.3');
  const before = render(web, one);
  const changes = elementChanges(before, render(web, one, pod('client-2', '10.244.1.3')));
  assert.deepEqual(
    changes?.map(({ change, elements }) => [change, elements.map(({ key }) => key[0])]),
    [['add', ['10.244.1.3']]],
  );
});

function openRendering(): (compiled: Compiled) => Table {
  // What is said of two is a set of its own here, so that there are some, and others from one change to the next.
  const [tabulator, renderer] = [openTabulator(), openRenderer(2)];
  return (compiled) => runToEnd(renderer.render(runToEnd(tabulator.tabulate(compiled)))).table;
}

/** The order of elements and chains does not count. */
function sorted(table: Table): unknown {
  const byName = <T extends { name: string }>(items: readonly T[]) =>
    items.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return {
    ...table,
    counters: (table.counters ?? []).toSorted(),
    chains: byName(table.chains),
    sets: byName(table.sets).map((set) => ({
      ...set,
      elements: set.elements.map((element) => JSON.stringify(element)).toSorted(),
    })),
  };
}
