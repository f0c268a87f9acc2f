import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Ip, parseIp } from '../../../base/ip/ip.ts';
import { runToEnd } from '../../../base/run/slices.ts';
import type { PeerTable, PortVerdicts } from '../../../plan/policy/compile/table.ts';
import { MANY, type RenderedPeers, renderPeers } from './peers.ts';

/** Without ports: the packet passes, or ends in one of two ways. */
const VERDICTS = [undefined, 'deny-a', 'deny-b'].map((name): PortVerdicts => {
  const otherwise =
    name === undefined ? undefined : { name, direction: 'egress' as const, allowed: false, policies: [] };
  return { entries: [], otherwise, key: String(name) };
});
const ipOf = (index: number) => parseIp(`10.0.${index >> 8}.${index & 255}`);
const tableOf = (said: readonly number[], otherwise: number): PeerTable => ({
  key: 'k',
  direction: 'egress',
  rules: [],
  addresses: said.map((one, index) => ({ ip: ipOf(index), verdicts: VERDICTS[one]! })),
  intervals: { 4: [], 6: [] },
  otherwise: VERDICTS[otherwise]!,
});

/** What becomes of a packet to an address, as the kernel goes through the rules. */
function fateOf({ chain, sets }: RenderedPeers, ip: Ip): string {
  for (const { match } of chain.rules) {
    const [, map, set, verdict] = /^ip daddr (?:vmap @(\S+)|@(\S+) (.*))$/.exec(match) ?? [];
    const name = map ?? set;
    if (name === undefined) return match;
    const found = sets.find((one) => one.name === name)?.elements.find(({ key }) => key[0] === ip);
    if (found === undefined) continue;
    if (set !== undefined) return verdict!;
    const value = found.value as { verdict: string; chain?: string };
    return value.chain === undefined ? value.verdict : `${value.verdict} ${value.chain}`;
  }
  return 'return';
}

test('whatever is said of many is a set, and of each address it is said what the table says', () => {
  const one = fc.nat(VERDICTS.length - 1);
  fc.assert(
    fc.property(
      fc.array(one, { maxLength: 12 }),
      one,
      fc.integer({ min: 1, max: 5 }),
      (said, otherwise, least) => {
        const rendered = runToEnd(renderPeers(tableOf(said, otherwise), undefined, least));
        for (let index = 0; index <= said.length; index++) {
          const name = VERDICTS[said[index] ?? otherwise]!.otherwise?.name;
          assert.equal(fateOf(rendered, ipOf(index)), name === undefined ? 'return' : `goto ${name}`);
        }
      },
    ),
  );
});

test('a map that the kernel looks through holds none of the many', () => {
  const said = [...Array<number>(MANY).fill(1), 2, 0];
  const { sets } = runToEnd(renderPeers(tableOf(said, 0)));
  assert.deepEqual(
    sets.map(({ value, elements }) => [value, elements.length]),
    [
      ['verdict', 2],
      [undefined, MANY],
    ],
  );
});
