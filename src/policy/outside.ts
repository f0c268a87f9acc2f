/** Addresses that are no pod's, as far as policies tell some from others: one of each stands for all like it. */
import type { Ip, IpFamily } from '../ip/ip.ts';
import type { Ruling } from './ruling.ts';
import { formatSpan, segmentsOf } from './segments.ts';

export type Place = { who: string; ip: Ip };

/** Of documentation (RFC 5737, RFC 3849): nobody writes policies about them. */
const ELSEWHERE = { 4: '192.0.2.1', 6: '2001:db8::1' } as const;

/** @param rulings whose ranges are to be told apart. */
export function placesOf(rulings: readonly (Ruling | undefined)[], family: IpFamily): Place[] {
  const blocks = rulings.flatMap((ruling, number) =>
    (ruling?.clauses ?? []).flatMap(({ who }, clause) =>
      (who?.blocks ?? []).map((block) => ({ ...block, number: number * 100_000 + clause })),
    ),
  );
  return [
    ...segmentsOf(blocks, family).map((segment): Place => {
      const span = formatSpan(segment, family);
      return { who: `addresses ${span}`, ip: span.split('-')[0] as Ip };
    }),
    { who: `other addresses of IPv${family}`, ip: ELSEWHERE[family] as Ip },
  ];
}
