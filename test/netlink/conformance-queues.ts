/** Queues, what hands packets to another link, and the links that are made for that. */
import assert from 'node:assert/strict';
import type { Operation } from '../../src/edge/netlink/kernel.ts';
import { INGRESS_PARENT, type Qdisc, type Redirect, ROOT_PARENT } from '../../src/edge/netlink/objects.ts';
import { sameQdisc } from '../../src/edge/netlink/state/identity.ts';
import {
  createVeth,
  errnos,
  HOST_INDEX,
  type InWorld,
  names,
  reach,
  type World,
} from './conformance-world.ts';

const SHAPER_INDEX = 61;
const createShaper: Operation = {
  op: 'link.create',
  link: { index: SHAPER_INDEX, name: 'shaper0', mtu: 1400, group: 5, up: true, kind: { type: 'ifb' } },
};
const bucket: Qdisc & { tbf: object } = {
  linkIndex: HOST_INDEX,
  parent: ROOT_PARENT,
  kind: 'tbf',
  tbf: { rate: 1_250_000, burst: 100_000, limit: 140_000 },
};
const place: Qdisc = { linkIndex: HOST_INDEX, parent: INGRESS_PARENT, kind: 'clsact' };
const redirect: Redirect = { linkIndex: HOST_INDEX, priority: 7010, to: SHAPER_INDEX };

function queue(qdisc: Qdisc): Operation {
  return { op: 'qdisc.replace', qdisc };
}

function redirectBy(fields: Partial<Redirect>): Operation {
  return { op: 'redirect.replace', redirect: { ...redirect, ...fields } };
}

/** Those that were set: the kernel gives each link one by itself. */
function queuesOf({ node }: World): Qdisc[] {
  return node.qdiscs().filter(({ kind }) => kind === 'tbf' || kind === 'clsact');
}

export function testQueues(inWorld: InWorld): void {
  /** Declares a test that needs what not every kernel is built with. */
  const inShapingWorld: InWorld = (title, body) =>
    inWorld(title, (world, context) => {
      createVeth(world);
      const [noBucket, noShaper] = world.node.apply([queue(bucket), createShaper]);
      const lacks = noBucket ?? noShaper;
      if (lacks !== undefined) return context.skip(`this kernel cannot limit: ${lacks.message}`);
      reach(world.node, { op: 'link.delete', index: SHAPER_INDEX }, { op: 'link.delete', index: HOST_INDEX });
      createVeth(world);
      return body(world, context);
    });

  inShapingWorld('a token bucket is set, changed and told', (world) => {
    const { node } = world;
    assert.deepEqual(queuesOf(world), []);
    reach(node, queue(bucket));
    for (const tbf of [
      { rate: 1_250_000, burst: 100_000, limit: 140_000 },
      { rate: 125_000, burst: 1514, limit: 15_140 },
      // Beyond what 32 bits tell of a rate, and beyond what they tell of a burst's time.
      { rate: 12_500_000_000, burst: 268_435_455, limit: 625_000_000 },
      { rate: 125_000, burst: 536_870_911, limit: 140_000 },
      { rate: 1, burst: 4_294_967_295, limit: 1 },
    ]) {
      reach(node, queue({ ...bucket, tbf }));
      const [told, ...others] = queuesOf(world);
      assert.deepEqual(others, []);
      assert.deepEqual(
        [told?.linkIndex, told?.parent, told?.kind, told?.tbf?.rate, told?.tbf?.limit],
        [HOST_INDEX, ROOT_PARENT, 'tbf', tbf.rate, tbf.limit],
      );
      assert.equal(sameQdisc({ ...bucket, tbf }, told!), true, JSON.stringify([tbf, told]));
      if (tbf.rate > 1)
        assert.equal(sameQdisc({ ...bucket, tbf: { ...tbf, burst: tbf.burst * 1.01 } }, told!), false);
    }
  });

  inShapingWorld('a queue that cannot be is refused', (world) => {
    assert.deepEqual(
      errnos(world.node, [
        queue({ ...bucket, linkIndex: 999 }),
        queue({ ...bucket, tbf: { rate: 1_250_000, burst: 0, limit: 1 } }),
        queue({ linkIndex: HOST_INDEX, parent: ROOT_PARENT, kind: 'tbf' }),
        queue({ ...place, parent: ROOT_PARENT }),
        queue({ ...bucket, parent: INGRESS_PARENT }),
      ]),
      ['ENODEV', 'EINVAL', 'EINVAL', 'EOPNOTSUPP', 'EINVAL'],
    );
    assert.deepEqual(queuesOf(world), []);
  });

  inShapingWorld('what a link receives is handed to another one, until that is gone', (world) => {
    const { node } = world;
    assert.deepEqual(node.redirects(HOST_INDEX), []);
    assert.deepEqual(errnos(node, [createShaper, redirectBy({})]), [undefined, 'EINVAL']);
    reach(node, queue(place), queue(place), redirectBy({}), redirectBy({}));
    assert.deepEqual(queuesOf(world), [place]);
    assert.deepEqual(node.redirects(HOST_INDEX), [redirect]);
    assert.deepEqual(node.redirects(1), []);
    assert.deepEqual(errnos(node, [redirectBy({ linkIndex: 999 }), redirectBy({ to: 999 })]), [
      'ENODEV',
      'ENODEV',
    ]);
    reach(node, { op: 'link.delete', index: SHAPER_INDEX });
    assert.deepEqual(node.redirects(HOST_INDEX), [{ ...redirect, to: 0 }]);
    reach(node, createShaper, redirectBy({}));
    assert.deepEqual(node.redirects(HOST_INDEX), [redirect]);
  });

  inShapingWorld('a shaper is a link like others, and queues go with their link', (world) => {
    const { node } = world;
    reach(node, createShaper, queue({ ...bucket, linkIndex: SHAPER_INDEX }), queue(place), redirectBy({}));
    const { kind, mtu, group, up } = node.link('shaper0')!;
    assert.deepEqual({ kind, mtu, group, up }, { kind: 'ifb', mtu: 1400, group: 5, up: true });
    reach(node, { op: 'link.delete', index: HOST_INDEX }, { op: 'link.deleteGroup', group: 5 });
    assert.deepEqual(names(node), ['lo']);
    assert.deepEqual(queuesOf(world), []);
    assert.deepEqual(node.redirects(HOST_INDEX), []);
  });
}
