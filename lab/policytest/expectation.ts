/** The truth table of a policy test: who may reach whom, at which port. */

import { FairleadError } from '../../src/base/errors/errors.ts';
import { nearestName } from '../../src/base/errors/nearest.ts';
import { fieldAt, isFields, show } from '../../src/base/fields/fields.ts';
import { isIp } from '../../src/base/ip/ip.ts';
import type { Manifest } from '../../src/tools/manifests/manifests.ts';

export const TEST_PROTOCOLS = ['TCP', 'UDP', 'SCTP', 'ICMP'] as const;
export type TestProtocol = (typeof TEST_PROTOCOLS)[number];

/** One cell of the table. Ends are pods (`namespace/name`) and nodes (`node/node-1`); as `to` also `world` and addresses. */
export type Expectation = {
  from: string;
  to: string;
  protocol: TestProtocol;
  /** 0 for ICMP. */
  port: number;
  allow: boolean;
  /** Where it is written. */
  at: string;
};

const KEYS: readonly string[] = ['expect', 'otherwise'];
const ENTRY_KEYS: readonly string[] = ['from', 'to', 'port', 'protocol', 'allow'];

export function isExpectation({ value }: Manifest): boolean {
  return fieldAt(value, 'expect') !== undefined;
}

/**
 * A later entry overrides an earlier one; with `otherwise`, all pairs of pods that no entry names have that verdict at
 * each port that any entry names.
 * @param pods names of the pods of the manifests. @param nodes names of the nodes, `node/node-1`.
 * @throws FairleadError FL_USAGE with the place and the cure.
 */
export function parseExpectations(
  { value, at }: Manifest,
  pods: readonly string[],
  nodes: readonly string[],
): Expectation[] {
  const cells = new Map<string, Expectation>();
  const put = (cell: Expectation) => {
    if (cell.from !== cell.to) cells.set(`${cell.from} ${cell.to} ${cell.protocol} ${cell.port}`, cell);
  };
  checkKeys(value, KEYS, at);
  const entries = fieldAt(value, 'expect');
  if (!Array.isArray(entries)) throw wrong(`${at}: expect: ${show(entries)} is not a list of entries`);
  // The outside has no route to a pod.
  const known = { from: [...pods, ...nodes], to: [...pods, ...nodes, 'world'] };
  const parsed = entries.flatMap((entry: unknown, index) =>
    parseEntry(entry, `${at}: expect[${index}]`, known),
  );
  const otherwise = fieldAt(value, 'otherwise');
  if (otherwise !== undefined && otherwise !== 'allow' && otherwise !== 'deny')
    throw wrong(`${at}: otherwise: ${show(otherwise)} is unknown; write allow or deny, or leave it out`);
  if (otherwise !== undefined) {
    const ports = new Map(parsed.map((cell) => [`${cell.protocol} ${cell.port}`, cell]));
    for (const { protocol, port } of ports.values())
      for (const from of pods)
        for (const to of pods)
          put({ from, to, protocol, port, allow: otherwise === 'allow', at: `${at}: otherwise` });
  }
  parsed.forEach(put);
  if (cells.size === 0) throw wrong(`${at}: expect: is empty; say at least one thing that must be so`);
  return [...cells.values()];
}

function parseEntry(
  entry: unknown,
  at: string,
  known: Readonly<Record<'from' | 'to', readonly string[]>>,
): Expectation[] {
  if (!isFields(entry)) throw wrong(`${at}: ${show(entry)} is not an entry; write from, to, port and allow`);
  checkKeys(entry, ENTRY_KEYS, at);
  const allow = fieldAt(entry, 'allow');
  if (typeof allow !== 'boolean') throw wrong(`${at}: allow: ${show(allow)} is neither true nor false`);
  const protocols = listOf(fieldAt(entry, 'protocol') ?? 'TCP').map((stated) => {
    const protocol = TEST_PROTOCOLS.find((one) => one === String(stated).toUpperCase());
    if (protocol === undefined)
      throw wrong(`${at}: protocol: ${show(stated)} is unknown; write ${TEST_PROTOCOLS.join(', ')}`);
    return protocol;
  });
  const ports = listOf(fieldAt(entry, 'port') ?? []);
  const cells: Expectation[] = [];
  for (const from of endsOf(entry, 'from', at, known.from)) {
    for (const to of endsOf(entry, 'to', at, known.to)) {
      for (const protocol of protocols) {
        for (const port of protocol === 'ICMP' ? [0] : portsOf(ports, at))
          cells.push({ from, to, protocol, port, allow, at });
      }
    }
  }
  return cells;
}

function portsOf(ports: readonly unknown[], at: string): number[] {
  if (ports.length === 0) throw wrong(`${at}: port: is missing; write a number or a list of them`);
  return ports.map((port) => {
    if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65_535)
      throw wrong(`${at}: port: ${show(port)} is not a port; write 1 to 65535`);
    return port;
  });
}

/** `*` is every pod, `shop/*` those of a namespace, a name alone one of the namespace `default`. */
function endsOf(entry: object, side: 'from' | 'to', at: string, known: readonly string[]): string[] {
  const stated = listOf(fieldAt(entry as never, side) ?? []);
  if (stated.length === 0) throw wrong(`${at}: ${side}: is missing; name a pod, or * for all`);
  return stated.flatMap((item) => {
    const text = String(item);
    if (side === 'to' && isIp(text)) return [text];
    if (text === '*') return known.filter((name) => isPodName(name));
    if (text.endsWith('/*')) {
      const found = known.filter((name) => isPodName(name) && name.startsWith(text.slice(0, -1)));
      if (found.length > 0) return found;
    }
    const name = known.includes(text) || text.includes('/') ? text : `default/${text}`;
    if (known.includes(name)) return [name];
    const nearest = nearestName(name, known);
    throw wrong(
      `${at}: ${side}: ${show(text)} is not known; write ${side === 'from' ? 'a pod of the manifests or node/NAME' : 'a pod of the manifests, node/NAME, world or an address'}${nearest === undefined ? '' : `; did you mean ${nearest}?`}`,
    );
  });
}

function isPodName(name: string): boolean {
  return name.includes('/') && !name.startsWith('node/');
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value];
}

function checkKeys(value: object, known: readonly string[], at: string): void {
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue;
    const nearest = nearestName(key, known);
    throw wrong(
      `${at}: ${show(key)} is unknown${nearest === undefined ? `; write ${known.join(', ')}` : `; did you mean ${nearest}?`}`,
    );
  }
}

function wrong(message: string): FairleadError {
  return new FairleadError('FL_USAGE', message);
}
