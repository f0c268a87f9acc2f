/**
 * Policies as an nftables table of our own. A packet that begins a connection is looked up by its address: pods of which
 * the same is said share a chain, and a chain is at most four lookups however many policies stand behind it: who is at
 * the other end, by address or by range, and what becomes of the port, by number or by range. What belongs to a connection
 * that was let through passes by its state.
 */
import { type IpFamily, ipFamily } from '../../../base/ip/ip.ts';
import { atOnce, type Steps } from '../../../base/run/slices.ts';
import type { Chain, Element, NftSet, Table } from '../../../edge/nftables/objects.ts';
import type { Compiled } from '../../../plan/policy/compile/compile.ts';
import { ITSELF, type Outcome, renderOutcome } from '../../../plan/policy/compile/outcome.ts';
import type { Ruling } from '../../../plan/policy/compile/ruling.ts';
import { DIRECTIONS, type Direction } from '../../../plan/policy/parse/objects.ts';
import { type Destiny, type RenderedRuling, renderRuling } from './render-ruling.ts';

export const POLICY_TABLE = { family: 'inet', name: 'fairlead-policy' } as const;

export type Rendered = {
  table: Table;
  /** By name of their counters. */
  outcomes: ReadonlyMap<string, Outcome>;
};

const FAMILIES = [4, 6] as const;
const IP = { 4: 'ip', 6: 'ip6' } as const;
const ADDRESS = { 4: 'ipv4_addr', 6: 'ipv6_addr' } as const;
const OWN = { ingress: 'daddr', egress: 'saddr' } as const;

export function renderTable(compiled: Pick<Compiled, 'pods'>): Table {
  return atOnce(openRenderer().render(compiled)).table;
}

export type Renderer = { render(compiled: Pick<Compiled, 'pods'>): Steps<Rendered> };

/** Rulings that were rendered the last time are not looked into again. */
export function openRenderer(): Renderer {
  let before = new Map<string, { ruling: Ruling; rendered: RenderedRuling }>();
  return {
    *render({ pods }) {
      const now: typeof before = new Map();
      const renderOnce = (ruling: Ruling): RenderedRuling => {
        const done = now.get(ruling.key) ?? before.get(ruling.key);
        const rendered = done?.ruling === ruling ? done.rendered : renderRuling(ruling, done?.rendered);
        now.set(ruling.key, { ruling, rendered });
        return rendered;
      };
      const dispatched = yield* dispatchPods(pods, renderOnce);
      before = now;
      return assemble(
        [...now.values()].map(({ rendered }) => rendered),
        dispatched,
      );
    },
  };
}

/** Maps from a pod's address to what is said about it, and sets of who talks to itself. */
function* dispatchPods(
  pods: Compiled['pods'],
  rendered: (ruling: Ruling) => RenderedRuling,
): Steps<NftSet[]> {
  const elements = new Map<string, Element[]>();
  for (const compiled of pods) {
    for (const direction of DIRECTIONS) {
      const ruling = compiled[direction];
      if (ruling === undefined) continue;
      const { chain } = rendered(ruling);
      yield;
      for (const ip of compiled.pod.podIPs) {
        const name = dispatchName(direction, ipFamily(ip));
        const own = elements.get(name) ?? [];
        elements.set(name, own);
        own.push({ key: [ip], value: { verdict: 'jump', chain: chain.name } });
      }
    }
  }
  const dispatch = DIRECTIONS.flatMap((direction) =>
    FAMILIES.map((family): NftSet => {
      const name = dispatchName(direction, family);
      return { name, key: [ADDRESS[family]], value: 'verdict', elements: elements.get(name) ?? [] };
    }),
  );
  return [...dispatch, ...FAMILIES.map((family) => itselfSet(pods, family))];
}

function itselfSet(pods: Compiled['pods'], family: IpFamily): NftSet {
  const ips = pods.flatMap(({ pod }) => pod.podIPs.filter((ip) => ipFamily(ip) === family));
  return {
    name: ITSELF[family],
    key: [ADDRESS[family], ADDRESS[family]],
    elements: [...new Set(ips)].map((ip) => ({ key: [ip, ip] })),
  };
}

function assemble(rendered: readonly RenderedRuling[], dispatched: readonly NftSet[]): Rendered {
  const destinies = uniqueByName<Destiny>(
    rendered.flatMap((one) => one.destinies),
    ({ chain }) => chain.name,
  );
  const outcomes = uniqueByName(
    rendered.flatMap((one) => one.outcomes),
    ({ name }) => name,
  );
  const forward: Chain = {
    name: 'forward',
    hook: { type: 'filter', hook: 'forward', priority: 'filter' },
    rules: [
      { match: 'ct state established,related accept' },
      // The sender's side first, as the packet meets it.
      ...(['egress', 'ingress'] as const).flatMap((direction) =>
        FAMILIES.map((family) => ({
          match: `${IP[family]} ${OWN[direction]} vmap @${dispatchName(direction, family)}`,
        })),
      ),
    ],
  };
  return {
    table: {
      ...POLICY_TABLE,
      counters: outcomes.map(({ name }) => name),
      sets: [
        ...destinies.flatMap(({ sets }) => sets),
        ...rendered.flatMap(({ sets }) => sets),
        ...dispatched,
      ],
      chains: [
        ...outcomes.map(renderOutcome),
        ...destinies.map(({ chain }) => chain),
        ...rendered.map(({ chain }) => chain),
        forward,
      ],
    },
    outcomes: new Map(outcomes.map((outcome) => [outcome.name, outcome])),
  };
}

function dispatchName(direction: Direction, family: IpFamily): string {
  return `${direction}${family}`;
}

function uniqueByName<T>(items: readonly T[], nameOf: (item: T) => string): T[] {
  return [...new Map(items.map((item) => [nameOf(item), item])).values()];
}
