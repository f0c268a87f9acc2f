/** The chain for a number of endpoints, which draws one of them. All frontends with as many endpoints share it. */
import type { IpFamily } from '../../../base/ip/ip.ts';
import type { Chain, Rule } from '../../../edge/nftables/objects.ts';
import { addressKey } from './chains.ts';
import type { NoteRule } from './notes.ts';
import { IP_WORDS, LOCAL_AREA } from './objects.ts';

/**
 * @property at whether frontends are known by address, or by port alone as NodePorts are.
 * @property outside whether this is the list for what is from outside, where that is another one.
 * @property seconds present with affinity.
 */
export type Counted = {
  family: IpFamily;
  at: 'address' | 'node';
  outside: boolean;
  count: number;
  seconds?: number;
};

export const FORGET: NoteRule = { chain: 'forget6', set: 'affinity6' };

export function noteRule(seconds: number): NoteRule {
  return { chain: noteChain(seconds), set: 'affinity6', seconds };
}

function noteChain(seconds: number): string {
  return `note6-${seconds}s`;
}

export function countedName({ family, at, outside, count, seconds }: Counted): string {
  const kind = `${at === 'address' ? 'of' : 'node-of'}${family}-${count}`;
  return `${kind}${outside ? '-outside' : ''}${seconds === undefined ? '' : `-${seconds}s`}`;
}

export function countedChain(counted: Counted): Chain {
  const name = countedName(counted);
  return { name, rules: counted.seconds === undefined ? drawn(counted) : kept(counted, counted.seconds) };
}

/**
 * Rules have no variables; the packet's own destination serves as one until it is translated, and becomes the number of
 * an endpoint. (nft 1.0.6 reads no map of addresses and ports again whose key has a drawn number.) A packet that is under
 * way while a list becomes shorter has the length of before and the list of now: it takes the first then.
 */
function drawn({ family, at, outside, count }: Counted): Rule[] {
  const ip = IP_WORDS[family];
  const key = keyOf(at, family);
  const map = `map @${at === 'address' ? '' : 'node-'}endpoints${family}`;
  const offset = outside ? ` offset ${LOCAL_AREA}` : '';
  const take = (of: number): Rule => ({
    match: `${ip} daddr set ${key} . numgen random mod ${of}${offset} ${map}`,
  });
  const first = count > 1 ? [take(1)] : [];
  // With the address in the key nothing is found once it is replaced: then the first comes after, else before.
  const takes = at === 'address' ? [take(count), ...first] : [...first, take(count)];
  return [...takes, { match: `goto chosen${family}` }];
}

/**
 * As above; and the source becomes the number of the list. What they were is with the connection (`ct original`). An
 * endpoint is drawn, noted for the client unless one is noted, and read back. A noted one that is in the list no more is
 * forgotten.
 */
function kept({ family, at, outside, count }: Counted, seconds: number): Rule[] {
  const ip = IP_WORDS[family];
  const lists = `${at === 'address' ? '' : 'node-'}sticky${outside ? '-outside' : ''}${family}`;
  const client = `ct original ${ip} saddr . ${ip} saddr`;
  const draw = (of: number): Rule => ({
    match: `${ip} daddr set ${ip} saddr . numgen random mod ${of} map @slots${family}`,
  });
  const drawNoted = [
    ...(count > 1 ? [draw(1)] : []),
    draw(count),
    family === 4
      ? { match: `update @affinity4 { ${client} timeout ${seconds}s : ${ip} daddr }` }
      : { match: `jump ${noteChain(seconds)}` },
  ];
  return [
    { match: `${ip} saddr set ${keyOf(at, family)} map @${lists}` },
    ...drawNoted,
    { match: `${ip} daddr set ${client} map @affinity${family}` },
    { match: `${ip} daddr @targets${family} goto restored${family}` },
    family === 4
      ? { match: `delete @affinity4 { ${client} : ${ip} daddr }` }
      : { match: `jump ${FORGET.chain}` },
    ...drawNoted,
    { match: `goto restored${family}` },
  ];
}

function keyOf(at: Counted['at'], family: IpFamily): string {
  return at === 'address' ? addressKey(family) : 'meta l4proto . th dport';
}
