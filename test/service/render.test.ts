/** The renderer by itself: places that last, changes that add up, and as many sets and chains for many services as for few. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseIp } from '../../src/base/ip/ip.ts';
import { runToEnd } from '../../src/base/run/slices.ts';
import { place } from '../../src/datapath/nftables/service/places.ts';
import { createServiceRenderer, type RenderedChange } from '../../src/datapath/nftables/service/render.ts';
import { loadServices, updateServices } from '../../src/datapath/nftables/service/write.ts';
import type { ElementChange } from '../../src/edge/nftables/elements.ts';
import type { Element } from '../../src/edge/nftables/objects.ts';
import type { Lingering } from '../../src/plan/service/linger.ts';
import { createServicePlanner, planServices } from '../../src/plan/service/plan.ts';
import { cluster, service, slice } from './cluster.ts';
import { inputOf, NODE, worlds } from './worlds.ts';

const OPTIONS = {
  families: [4, 6] as const,
  nodeIps: NODE.ips.map((ip) => parseIp(ip)),
  nodePortRange: { first: 30_000, last: 32_767 },
};

test('endpoints keep their places: a change of k endpoints changes at most 2k places, and none is empty or twice', () => {
  const list = fc.uniqueArray(fc.integer({ min: 1, max: 20 }), { maxLength: 12 });
  const of = (numbers: readonly number[]) =>
    numbers.map((n) => ({ ip: parseIp(`10.0.0.${n}`), port: 80, local: false }));
  fc.assert(
    fc.property(list, list, (a, b) => {
      const placed = place(of(a), of(b));
      const numbers = placed.map(({ ip }) => Number(ip.split('.')[3]));
      assert.deepEqual(
        numbers.toSorted((x, y) => x - y),
        b.toSorted((x, y) => x - y),
      );
      const changed = numbers.filter((n, index) => a[index] !== n).length + Math.max(0, a.length - b.length);
      const different = a.filter((n) => !b.includes(n)).length + b.filter((n) => !a.includes(n)).length;
      assert.ok(changed <= 2 * different, `${a.join()} → ${b.join()}: ${numbers.join()}`);
    }),
    { numRuns: 1000 },
  );
});

/** The kernel's sets as elements come and go: what is there twice, or goes and is not there, would be refused. */
function createKernel() {
  const sets = new Map<string, Map<string, string>>();
  const apply = ({ change, set, elements }: ElementChange) => {
    const own = sets.get(set.name) ?? new Map<string, string>();
    sets.set(set.name, own);
    for (const { key, value } of elements) {
      const name = key.join(' ');
      assert.equal(own.has(name), change === 'delete', `${change} ${set.name} ${name}`);
      if (change === 'delete') own.delete(name);
      else own.set(name, JSON.stringify(value));
    }
  };
  return {
    sets,
    stages: (stages: readonly (readonly ElementChange[])[]) =>
      stages.forEach((stage) => stage.forEach(apply)),
  };
}

/** Also of what would be written as text. */
function changesOf(change: RenderedChange): ElementChange[] {
  const elements = (list: readonly { before: Element; after: Element }[], side: 'before' | 'after') =>
    list.map((each) => each[side]);
  return change.sets.flatMap(({ set, removed, changed, added }): ElementChange[] => [
    { change: 'delete', set, elements: [...removed, ...elements(changed, 'before')] },
    { change: 'add', set, elements: [...elements(changed, 'after'), ...added] },
  ]);
}

/** Places and numbers aside: frontends by what they lead to. */
function meaning(sets: ReadonlyMap<string, ReadonlyMap<string, string>>): unknown {
  const value = (set: string, key: string) => JSON.parse(sets.get(set)?.get(key) ?? '[]') as string[];
  return [...sets]
    .flatMap(([name, elements]) => {
      if (/^(targets|slots)/.test(name))
        return [...elements].length === 0 ? [] : [`${name} ${elements.size}`];
      return [...elements].map(([key, text]) => {
        const family = name.at(-1);
        if (/^(node-)?endpoints/.test(name)) {
          const parts = key.split(' ');
          const area = Number(parts.pop()) >= 0x100_0000 ? 'outside' : 'all';
          return `${name} ${parts.join(' ')} ${area} ${value(`targets${family}`, value(name, key)[0]!).join(' ')}`;
        }
        return `${name} ${key} ${text}`;
      });
    })
    .map(String)
    .toSorted((a, b) => (a < b ? -1 : 1));
}

test('changes add up to what the last table alone would be, and each is one that the kernel takes', () => {
  const lingering = fc.subarray<Lingering>([
    { ip: parseIp('10.244.2.2'), protocol: 'TCP', port: 8080 },
    { ip: parseIp('10.244.9.9'), protocol: 'UDP', port: 53 },
  ]);
  fc.assert(
    fc.property(fc.array(fc.tuple(worlds(), lingering), { minLength: 2, maxLength: 5 }), (steps) => {
      const [plan, renderer, kernel] = [
        createServicePlanner(),
        createServiceRenderer(OPTIONS),
        createKernel(),
      ];
      let last: RenderedChange | undefined;
      for (const [index, [world, rest]] of steps.entries()) {
        last = runToEnd(renderer.render({ table: runToEnd(plan(inputOf(world))), lingering: rest }));
        // What was not done is in the next one.
        if (index === 1) continue;
        const { stages, text } = updateServices(last, 'fairlead-services-a');
        kernel.stages(text === undefined ? stages : [changesOf(last)]);
        last.done();
      }
      if (steps.length === 2) kernel.stages([changesOf(last!)]);
      const anew = createKernel();
      const [world, rest] = steps.at(-1)!;
      anew.stages([
        changesOf(
          runToEnd(
            createServiceRenderer(OPTIONS).render({ table: planServices(inputOf(world)), lingering: rest }),
          ),
        ),
      ]);
      assert.deepEqual(meaning(kernel.sets), meaning(anew.sets));
    }),
    { numRuns: 150 },
  );
});

test('equal states cost nothing; one endpoint more is a handful of elements of one stage', () => {
  const many = Array.from({ length: 300 }, (_, index) =>
    service(`s${index}`, { clusterIP: `172.30.${index >> 8}.${index & 255}` }),
  );
  const endpoints = (count: number) =>
    Array.from({ length: count }, (_, index) => `10.244.${index >> 8}.${(index & 255) + 1}@node-2`);
  const table = (count: number) =>
    cluster(
      many,
      many.map(({ metadata }) => slice(metadata.name, endpoints(metadata.name === 's7' ? count : 40))),
    ).table;
  const renderer = createServiceRenderer(OPTIONS);
  const first = runToEnd(renderer.render({ table: table(40) }));
  const load = loadServices(renderer, first, 'fairlead-services-a');
  first.done();
  assert.ok(
    load.fill.every((stage) => stage.reduce((sum, { elements }) => sum + elements.length, 0) <= 1500),
  );
  assert.deepEqual(
    updateServices(runToEnd(renderer.render({ table: table(40) })), 'fairlead-services-a').stages,
    [],
  );
  const more = runToEnd(renderer.render({ table: table(41) }));
  const update = updateServices(more, 'fairlead-services-a');
  assert.equal(update.stages.length, 1);
  const total = update.stages[0]!.reduce((sum, { elements }) => sum + elements.length, 0);
  assert.ok(total <= 6, JSON.stringify(update.stages));
  assert.match(update.chains ?? '', /^table inet fairlead-services-a \{\n {2}chain of4-41 \{/);
});

test('the text of a table for three hundred services has no more sets and chains than that for one', () => {
  const text = (count: number) => {
    const many = Array.from({ length: count }, (_, index) =>
      service(`s${index}`, { clusterIP: `172.30.${index >> 8}.${index & 255}` }),
    );
    const renderer = createServiceRenderer(OPTIONS);
    const slices = many.map(({ metadata }) => slice(metadata.name, ['10.244.2.2']));
    const change = runToEnd(renderer.render({ table: cluster(many, slices).table }));
    return loadServices(renderer, change, 'fairlead-services-a').prepare;
  };
  assert.equal(text(300), text(1));
});
