/** Random services and slices: readers, planner and evaluator say what the naive reading of the documentation says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { parseIp } from '../../src/base/ip/ip.ts';
import { runToEnd } from '../../src/base/run/slices.ts';
import { createDecider } from '../../src/plan/service/decide.ts';
import type { ServiceProtocol } from '../../src/plan/service/objects.ts';
import { createServicePlanner, planServices, type ServicesInput } from '../../src/plan/service/plan.ts';
import { type OracleFate, oracle } from './oracle.ts';
import { fateOf, flowsOf, inputOf, worlds } from './worlds.ts';

const text = (fate: OracleFate) =>
  typeof fate === 'string'
    ? fate
    : [...fate.endpoints]
        .map(([key, seen]) => `${key} sees the ${seen}`)
        .toSorted()
        .join();

test('300 random clusters: the evaluator and the documentation agree', () => {
  fc.assert(
    fc.property(worlds(), (world) => {
      const decide = createDecider(planServices(inputOf(world)));
      for (const flow of flowsOf(world)) {
        const decision = decide({
          ...flow,
          source: parseIp(flow.source),
          destination: parseIp(flow.destination),
          protocol: flow.protocol as ServiceProtocol,
        });
        assert.equal(text(fateOf(decision)), text(oracle(world, flow)), JSON.stringify(flow));
      }
    }),
    { numRuns: 300 },
  );
});

test('planning again after any change is planning anew, and what has not changed is the same object', () => {
  fc.assert(
    fc.property(worlds(), worlds(), fc.nat(3), (world, other, index) => {
      const planner = createServicePlanner();
      const plan = (input: ServicesInput) => runToEnd(planner(input));
      const before = inputOf(world);
      const first = plan(before);
      const services = before.services.with(index, inputOf(other).services[index]!);
      const slices = new Map(before.slices);
      const changed = inputOf(other).slices.get('default/s1');
      if (changed !== undefined) slices.set('default/s1', changed);
      const after = { ...before, services, slices };
      const again = plan(after);
      assert.deepEqual(again, planServices(after));
      for (const { name, ...planned } of first.services) {
        const kept = again.services.find((candidate) => candidate.name === name);
        if (kept !== undefined && name !== 'default/s1' && name !== `default/s${index}`)
          assert.equal(kept.ports === planned.ports, isDeepStrictEqual(kept.ports, planned.ports));
      }
    }),
    { numRuns: 200 },
  );
});
