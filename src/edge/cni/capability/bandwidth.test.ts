import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBandwidth } from './bandwidth.ts';

function parse(bandwidth: unknown): ReturnType<typeof parseBandwidth> {
  return parseBandwidth({ bandwidth });
}

void test('I: bandwidth of either direction, in bits', () => {
  assert.deepEqual(
    parse({
      ingressRate: 1_000_000,
      ingressBurst: 80_000,
      egressRate: 2_000_000,
      egressBurst: 4_294_967_295,
    }),
    { ingress: { rate: 1_000_000, burst: 80_000 }, egress: { rate: 2_000_000, burst: 4_294_967_295 } },
  );
  assert.deepEqual(parse({ egressRate: 1, egressBurst: 1, ingressRate: 0, ingressBurst: 0 }), {
    egress: { rate: 1, burst: 1 },
  });
});

void test('I: no bandwidth, or one of zeros, limits nothing', () => {
  for (const nothing of [
    undefined,
    null,
    {},
    { ingressRate: 0, ingressBurst: 0, egressRate: 0, egressBurst: 0 },
  ])
    assert.equal(parse(nothing), undefined);
});

void test('I: a rate without a burst, a burst without a rate, and absurd values are refused', () => {
  for (const wrong of [
    { ingressRate: 1000 },
    { egressBurst: 1000 },
    { ingressRate: -1, ingressBurst: 1000 },
    { ingressRate: '1M', ingressBurst: 1000 },
    { ingressRate: 1000, ingressBurst: 2 ** 35 },
    { egressRate: 1e300, egressBurst: 1000 },
    [],
    'fast',
  ])
    assert.throws(
      () => parse(wrong),
      { code: 7, message: /^runtimeConfig\.bandwidth/ },
      JSON.stringify(wrong),
    );
});
