/** Anything that happens to a node, in any order; what must hold when it is over (world.ts). */
import { test } from 'node:test';
import fc from 'fast-check';
import { type Action, PEERS, PODS, REFUSALS } from './events.ts';
import { World } from './world.ts';

/** More are run by hand, `RUNS=10000`; `SEED` is what a failure prints. */
const RUNS = Number(process.env['RUNS'] ?? 150);
const SEED = process.env['SEED'];

const pod = fc.nat(PODS - 1);
const some = fc.subarray(Array.from({ length: PODS }, (_, index) => index));
const of = (...names: Action['do'][]) => fc.constantFrom(...names);

const calls = fc.record({ do: of('ADD', 'ADD', 'ADD', 'DEL', 'DEL', 'CHECK'), pod });
const time = fc.record({ do: fc.constant('turn'), ms: fc.constantFrom(0, 1, 10, 30, 60, 200, 1500, 5000) });
const quiet = fc.record({ do: of('wait for the calls', 'GC') });
const losses = fc.oneof(
  fc.record({ do: of('lose its namespace', 'lose its link'), pod }),
  fc.record({ do: of('lose the tunnel', 'flap') }),
  fc.record({
    do: fc.constant('lose an entry'),
    kind: fc.constantFrom('route', 'neighbor', 'fdb'),
    nth: fc.nat(9),
  }),
  fc.record({
    do: fc.constant('foreign tables'),
    what: fc.constantFrom('nat', 'no nat', 'flush ours', 'flush policies', 'alter ours'),
  }),
);
const cluster = fc.oneof(
  fc.record({
    do: fc.constant('peer'),
    peer: fc.integer({ min: 2, max: 4 }),
    as: fc.constantFrom(...Object.keys(PEERS)),
  }),
  fc.record({ do: fc.constant('own record'), there: fc.boolean() }),
  fc.record({ do: of('policies', 'pod objects'), of: some }),
  fc.record({ do: fc.constant('API'), away: fc.boolean() }),
);
const crashes = fc.oneof(
  fc.record({ do: fc.constant('kill'), calls: fc.nat(120) }),
  fc.record({ do: of('start', 'start', 'start') }),
);
const refusals = fc.oneof(
  fc.record({ do: fc.constant('refuse'), what: fc.constantFrom(...Object.keys(REFUSALS)) }),
  fc.record({ do: of('forget refusals') }),
  fc.record({ do: fc.constant('state folder'), full: fc.boolean() }),
);
const action = fc.oneof(
  { arbitrary: calls, weight: 6 },
  { arbitrary: time, weight: 4 },
  { arbitrary: quiet, weight: 1 },
  { arbitrary: losses, weight: 2 },
  { arbitrary: cluster, weight: 2 },
  { arbitrary: crashes, weight: 2 },
  { arbitrary: refusals, weight: 2 },
) as fc.Arbitrary<Action>;

test('whatever happens to a node, in the end it is as it shall be', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 40, size: 'max' }), async (actions) => {
      using world = new World();
      for (const one of actions) await world.act(one);
      await world.end();
    }),
    {
      numRuns: RUNS,
      ...(SEED === undefined ? {} : { seed: Number(SEED) }),
      reporter: (details) => {
        t.diagnostic(`seed ${details.seed}, ${details.numRuns} runs`);
        if (details.failed)
          throw new Error(fc.defaultReportMessage(details) ?? 'it failed', { cause: details.errorInstance });
      },
    },
  );
});
