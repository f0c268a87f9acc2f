/** What others do to a node: to its kernel, to its tables, to its disk. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { TABLE } from '../../datapath/nftables/node-table.ts';
import { POLICY_TABLE } from '../../datapath/nftables/policy/render.ts';
import { VXLAN_LINKS } from '../../edge/marks/marks.ts';
import type { Table } from '../../edge/nftables/objects.ts';
import type { FakeNode } from '../fake/fake-node.ts';
import type { Action } from './events.ts';

const FOREIGN: Table = {
  family: 'ip',
  name: 'nat',
  sets: [],
  chains: [{ name: 'out', hook: { type: 'nat', hook: 'postrouting', priority: '100' }, rules: [] }],
};

export function loseTunnel({ foreign }: FakeNode): void {
  const tunnel = foreign.link(VXLAN_LINKS[4]);
  if (tunnel !== undefined) foreign.apply([{ op: 'link.delete', index: tunnel.index }]);
}

export function loseEntry(
  { foreign }: FakeNode,
  { kind, nth }: Extract<Action, { do: 'lose an entry' }>,
): void {
  const routes = foreign.routes().filter(({ protocol }) => protocol !== 2);
  const neighbors = foreign.neighbors();
  const fdb = foreign.links().flatMap(({ index }) => foreign.fdb(index));
  const at = <T>(all: readonly T[]): T | undefined => all[nth % Math.max(1, all.length)];
  const [route, neighbor, entry] = [at(routes), at(neighbors), at(fdb)];
  if (kind === 'route' && route !== undefined) foreign.apply([{ op: 'route.delete', route }]);
  if (kind === 'neighbor' && neighbor !== undefined) foreign.apply([{ op: 'neighbor.delete', neighbor }]);
  if (kind === 'fdb' && entry !== undefined) foreign.apply([{ op: 'fdb.delete', entry }]);
}

export function changeTables(
  { nftables: { others, tables } }: FakeNode,
  what: Extract<Action, { do: 'foreign tables' }>['what'],
): void {
  switch (what) {
    case 'nat':
      return others.replace(FOREIGN);
    case 'no nat':
      return others.remove(FOREIGN);
    case 'flush ours':
      return others.remove(TABLE);
    case 'flush policies':
      return others.remove(POLICY_TABLE);
    case 'alter ours': {
      const own = tables.get(`${TABLE.family} ${TABLE.name}`);
      if (own !== undefined) others.replace({ ...own, chains: own.chains.slice(1) });
    }
  }
}

/** Folders in the way of what is written before it is renamed: as where the disk is full, what is there can be read. */
export function fillStateFolder({ stateDirectory }: FakeNode, full: boolean): void {
  for (const record of RECORDS) {
    const inTheWay = join(stateDirectory, `${record}.new`);
    if (full) mkdirSync(inTheWay, { recursive: true });
    else rmSync(inTheWay, { recursive: true, force: true });
  }
}

const RECORDS = ['node.json', 'policies.json', 'settings.json'];
