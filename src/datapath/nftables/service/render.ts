/** A table of services as nftables: whole, or as what has changed since. */
import { type Cidr, cidrContainsCidr } from '../../../base/ip/cidr.ts';
import { type IpFamily, ipFamily } from '../../../base/ip/ip.ts';
import type { Slices } from '../../../base/run/slices.ts';
import type { Chain, Element } from '../../../edge/nftables/objects.ts';
import type { Lingering } from '../../../plan/service/linger.ts';
import type { Endpoint, PlannedService, ServiceTable } from '../../../plan/service/table.ts';
import { baseChains, commonChains } from './chains.ts';
import { type Counted, countedChain, countedName, FORGET, noteRule } from './counted.ts';
import { addService, listKey, type Placed } from './elements.ts';
import type { NoteRule } from './notes.ts';
import { createNumbers, type Numbers } from './numbers.ts';
import type { ServiceSet, ServiceTableOptions } from './objects.ts';
import { place } from './places.ts';
import { type SetName, serviceSets } from './sets.ts';
import { addShare, type Contents, commitShares, type Shares, settleShares } from './shares.ts';

export type RenderInput = {
  table: ServiceTable;
  /** Endpoints that are in no list any more, and still have connections. */
  lingering?: readonly Lingering[];
};

/** What has to be done to a set; `changed` are elements that have another value than before. */
export type SetChange = {
  set: ServiceSet;
  removed: readonly Element[];
  changed: readonly { before: Element; after: Element }[];
  added: readonly Element[];
};

export type RenderedChange = {
  /** To be there before any element leads to them. */
  chains: readonly Chain[];
  /** For chains that come with these. */
  notes: readonly NoteRule[];
  sets: readonly SetChange[];
  /** The kernel has it: what comes next is told from this. Without it, the next change holds this one too. */
  done(): void;
};

export type ServiceRenderer = {
  readonly sets: readonly ServiceSet[];
  /** Chains that no element leads to. */
  readonly common: readonly Chain[];
  readonly base: readonly Chain[];
  /** What differs from the last one that was done: everything, at first. */
  render(input: RenderInput): Slices<RenderedChange>;
};

/** Elements of one step. */
const STEP = 1000;
const LISTS = ['cluster', 'local'] as const;

export function createServiceRenderer(options: ServiceTableOptions): ServiceRenderer {
  const sets = serviceSets(options);
  const numbers = createNumbers();
  const chains = new Set<string>();
  const shares: Shares = new Map();
  const lists = new Map<string, readonly Endpoint[]>();
  let services = new Map<string, PlannedService>();
  let general: Contents = new Map();
  let lingerers: ReadonlySet<string> = new Set();

  const render = function* (input: RenderInput): Slices<RenderedChange> {
    const { table } = input;
    const next = new Map(table.services.map((service) => [service.name, service]));
    const needed = new Map<string, Counted>();
    const replaced = new Map<string, readonly Endpoint[]>();
    const [old, now]: [Contents, Contents] = [new Map(), new Map()];
    const counts: Shares = new Map();
    const collect = (contents: Contents, service: PlannedService, placed: Placed, by: 1 | -1) => {
      const own = new Map<string, Set<string>>();
      const to = {
        add: (name: SetName, family: IpFamily, element: Element, isShared = false) => {
          const [set, key] = [`${name}${family}`, element.key.join(' ')];
          if (isShared) {
            let keys = own.get(set);
            if (keys === undefined) own.set(set, (keys = new Set()));
            if (keys.has(key)) return;
            keys.add(key);
            addShare(counts, set, key, by);
          }
          put(contents, set, key, element);
        },
        need: (counted: Counted) => void needed.set(countedName(counted), counted),
      };
      addService(to, service, placed, numbers);
    };
    for (const [name, service] of services) {
      if (next.get(name) === service) continue;
      collect(old, service, (of, port, list) => lists.get(listKey(of, port, list)) ?? [], -1);
      yield;
    }
    needed.clear();
    for (const [name, service] of next) {
      if (services.get(name) === service) continue;
      const placed: Placed = (of, port, list) => {
        const key = listKey(of, port, list);
        const known = replaced.get(key);
        if (known !== undefined) return known;
        const endpoints = place(lists.get(key) ?? [], port.lists[list]);
        replaced.set(key, endpoints);
        return endpoints;
      };
      collect(now, service, placed, 1);
      yield;
    }
    const others = generalContents(input, options.families);
    for (const [name, elements] of others) mergeGeneral(old, now, name, general.get(name), elements);
    const nextLingerers = shareLingering(input.lingering ?? [], lingerers, counts, old, now);
    yield* settleShares(shares, counts, old, now);
    const changes: SetChange[] = [];
    for (const set of sets) {
      changes.push(...(yield* differences(set, old.get(set.name), now.get(set.name))));
    }
    const missing = [...needed].filter(([name]) => !chains.has(name));
    const notes = notesFor(
      missing.map(([, counted]) => counted),
      options.families,
    ).filter(({ chain }) => !chains.has(chain));
    return {
      chains: [
        ...notes.map(({ chain }) => ({ name: chain, rules: [] })),
        ...missing.map(([, counted]) => countedChain(counted)),
      ],
      notes,
      sets: changes,
      done: () => {
        for (const [name] of missing) chains.add(name);
        for (const { chain } of notes) chains.add(chain);
        for (const { set, key } of commitShares(shares, counts))
          if (set.startsWith('targets')) numbers.release(key);
        for (const [name, service] of services)
          if (next.get(name) !== service) forgetLists(lists, numbers, service, next.get(name));
        for (const [key, endpoints] of replaced) lists.set(key, endpoints);
        services = next;
        general = others;
        lingerers = nextLingerers;
      },
    };
  };
  return { sets, common: commonChains(options), base: baseChains(options), render };
}

/** Of those with affinity; what they have in common is there in any case. */
function notesFor(counted: readonly Counted[], families: readonly IpFamily[]): NoteRule[] {
  if (!families.includes(6)) return [];
  const times = new Set(counted.filter(({ family }) => family === 6).map(({ seconds }) => seconds));
  return [FORGET, ...[...times].flatMap((seconds) => (seconds === undefined ? [] : [noteRule(seconds)]))];
}

function forgetLists(
  lists: Map<string, readonly Endpoint[]>,
  numbers: Numbers,
  before: PlannedService,
  after: PlannedService | undefined,
): void {
  const kept = new Set(after === undefined ? [] : listKeys(after));
  for (const key of listKeys(before)) {
    if (kept.has(key)) continue;
    lists.delete(key);
    numbers.releaseName(key);
  }
}

function listKeys(service: PlannedService): string[] {
  return service.ports.flatMap((port) => LISTS.map((list) => listKey(service, port, list)));
}

function put(contents: Contents, set: string, key: string, element: Element): void {
  let elements = contents.get(set);
  if (elements === undefined) contents.set(set, (elements = new Map()));
  elements.set(key, element);
}

/** What belongs to no service. */
function generalContents({ table }: RenderInput, families: readonly IpFamily[]): Contents {
  const contents: Contents = new Map();
  for (const family of families) {
    for (const name of ['node-ips', 'ranges']) contents.set(`${name}${family}`, new Map());
  }
  const add = (name: SetName, family: IpFamily, key: string[]) => {
    if (families.includes(family)) put(contents, `${name}${family}`, key.join(' '), { key });
  };
  for (const ip of table.nodePortIps) add('node-ips', ipFamily(ip), [ip]);
  for (const range of withoutInner(table.serviceRanges)) add('ranges', range.includes(':') ? 6 : 4, [range]);
  return contents;
}

function mergeGeneral(
  old: Contents,
  now: Contents,
  name: string,
  before: ReadonlyMap<string, Element> | undefined,
  after: ReadonlyMap<string, Element>,
): void {
  for (const [key, element] of before ?? []) if (!after.has(key)) put(old, name, key, element);
  for (const [key, element] of after) if (before?.has(key) !== true) put(now, name, key, element);
}

/** Lingering endpoints may be endpoints of services again: then both have a share in the element. */
function shareLingering(
  lingering: readonly Lingering[],
  before: ReadonlySet<string>,
  counts: Shares,
  old: Contents,
  now: Contents,
): ReadonlySet<string> {
  const after = new Map<string, string[]>();
  for (const { ip, protocol, port } of lingering) {
    const key = [ip, protocol.toLowerCase(), String(port)];
    after.set(`backends${ipFamily(ip)} ${key.join(' ')}`, key);
  }
  const share = (contents: Contents, id: string, key: string[], by: 1 | -1) => {
    const set = id.slice(0, id.indexOf(' '));
    addShare(counts, set, key.join(' '), by);
    put(contents, set, key.join(' '), { key });
  };
  for (const id of before) if (!after.has(id)) share(old, id, id.split(' ').slice(1), -1);
  for (const [id, key] of after) if (!before.has(id)) share(now, id, key, 1);
  return new Set(after.keys());
}

function* differences(
  set: ServiceSet,
  old: ReadonlyMap<string, Element> = new Map(),
  now: ReadonlyMap<string, Element> = new Map(),
): Slices<SetChange[]> {
  const removed: Element[] = [];
  const changed: { before: Element; after: Element }[] = [];
  const added: Element[] = [];
  let count = 0;
  for (const [key, before] of old) {
    const after = now.get(key);
    if (after === undefined) removed.push(before);
    else if (JSON.stringify(before.value) !== JSON.stringify(after.value)) changed.push({ before, after });
    if (++count % STEP === 0) yield;
  }
  for (const [key, element] of now) {
    if (!old.has(key)) added.push(element);
    if (++count % STEP === 0) yield;
  }
  return removed.length + changed.length + added.length === 0 ? [] : [{ set, removed, changed, added }];
}

function withoutInner(ranges: readonly Cidr[]): Cidr[] {
  return [...new Set(ranges)].filter(
    (range, _, all) => !all.some((other) => other !== range && cidrContainsCidr(other, range)),
  );
}
