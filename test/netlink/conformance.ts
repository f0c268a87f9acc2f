/** What every kernel does, the real one and the fake. */
import { describe, test } from 'node:test';
import { testConduct } from './conformance-conduct.ts';
import { testEntries } from './conformance-entries.ts';
import { testLinks } from './conformance-links.ts';
import { testQueues } from './conformance-queues.ts';
import { testRoutes } from './conformance-routes.ts';
import type { InWorld, World } from './conformance-world.ts';

export function testConformance(name: string, createWorld: () => World): void {
  const inWorld: InWorld = (title, body) =>
    void test(title, async (context) => {
      using world = createWorld();
      await body(world, context);
    });
  void describe(name, () => {
    testLinks(inWorld);
    testRoutes(inWorld);
    testEntries(inWorld);
    testQueues(inWorld);
    testConduct(inWorld);
  });
}
