/** Which endpoints count, case by case: readiness, ends, hints, and both traffic policies. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { candidatesOf, categorize, type ServiceNode } from '../../src/plan/service/endpoints.ts';
import { parseSlice } from '../../src/plan/service/parse-slice.ts';
import { slice } from './cluster.ts';

const NODE: ServiceNode = { name: 'node-1', zone: 'zone-a', ips: [] };
const WITHOUT_ZONE: ServiceNode = { name: 'node-1', ips: [] };

type Row = {
  what: string;
  /** Whether each list is asked for: both by default. */
  only?: 'cluster' | 'local';
  node?: ServiceNode;
  endpoints: string[];
  cluster?: string;
  local?: string;
  usable?: false;
};

const [A, B, C] = ['10.0.0.1', '10.0.0.2', '10.0.0.3'];

const ROWS: Row[] = [
  { what: 'no endpoint at all', endpoints: [], usable: false },
  { what: 'all ready, none here', endpoints: [`${A}@node-2`, `${B}@node-3`], cluster: 'A B' },
  { what: 'all ready, all here', endpoints: [`${A}@node-1`, `${B}@node-1`], cluster: 'A B', local: 'A B' },
  { what: 'all ready, one here', endpoints: [`${A}@node-1`, `${B}@node-2`], cluster: 'A B', local: 'A' },
  {
    what: 'an endpoint without a node is never local',
    endpoints: [A, `${B}@node-1`],
    cluster: 'A B',
    local: 'B',
  },
  { what: 'none ready', endpoints: [`${A}@node-1 !ready`, `${B}@node-2 !ready`], usable: false },
  { what: 'some ready', endpoints: [`${A}@node-1 !ready`, `${B}@node-2`], cluster: 'B' },
  { what: 'only Local is asked for', only: 'local', endpoints: [`${A}@node-1`, `${B}@node-2`], local: 'A' },
  {
    what: 'only Local is asked for, and nothing is here: usable elsewhere',
    only: 'local',
    endpoints: [`${B}@node-2`],
  },
  {
    what: 'only Local is asked for, and nothing is ready anywhere',
    only: 'local',
    endpoints: [`${B}@node-2 !ready`],
    usable: false,
  },
  {
    what: 'only Cluster is asked for',
    only: 'cluster',
    endpoints: [`${A}@node-1`, `${B}@node-2`],
    cluster: 'A B',
  },
  {
    what: 'all end and serve',
    endpoints: [`${A}@node-1 ending`, `${B}@node-2 ending`],
    cluster: 'A B',
    local: 'A',
  },
  {
    what: 'all end, and one serves no more',
    endpoints: [`${A}@node-1 ending !serving`, `${B}@node-2 ending`],
    cluster: 'B',
  },
  { what: 'all end, and none serves', endpoints: [`${A}@node-1 ending !serving`], usable: false },
  {
    what: 'a ready one elsewhere: Cluster leaves out those that end, Local has nothing else',
    endpoints: [`${A}@node-1 ending`, `${B}@node-2`],
    cluster: 'B',
    local: 'A',
  },
  {
    what: 'a ready one here: both leave out those that end',
    endpoints: [`${A}@node-1 ending`, `${B}@node-1`],
    cluster: 'B',
    local: 'B',
  },
  { what: 'ends elsewhere, and only Local is asked for', only: 'local', endpoints: [`${A}@node-2 ending`] },
  {
    what: 'serving but not ready and not ending counts for nothing',
    endpoints: [`${A}@node-1 !ready serving`],
    usable: false,
  },
  {
    what: 'hints of zones: those for this zone',
    endpoints: [`${A}@node-2 zone-a`, `${B}@node-3 zone-b`],
    cluster: 'A',
  },
  {
    what: 'one endpoint without a hint: all',
    endpoints: [`${A}@node-2 zone-a`, `${B}@node-3`],
    cluster: 'A B',
  },
  {
    what: 'no hint names this zone: all',
    endpoints: [`${A}@node-2 zone-b`, `${B}@node-3 zone-c`],
    cluster: 'A B',
  },
  {
    what: 'several zones in one hint',
    endpoints: [`${A}@node-2 zone-a zone-b`, `${B}@node-3 zone-b`, `${C}@node-4 zone-a`],
    cluster: 'A C',
  },
  {
    what: 'a node without a zone: all',
    node: WITHOUT_ZONE,
    endpoints: [`${A}@node-2 zone-a`, `${B}@node-3 zone-b`],
    cluster: 'A B',
  },
  {
    what: 'an endpoint that is not ready needs no hint',
    endpoints: [`${A}@node-2 zone-a`, `${B}@node-3 !ready`],
    cluster: 'A',
  },
  {
    what: 'the only one for this zone is not ready: all that are',
    endpoints: [`${A}@node-2 zone-a !ready`, `${B}@node-3 zone-b`],
    cluster: 'B',
  },
  {
    what: 'hints have no part in Local',
    endpoints: [`${A}@node-1 zone-b`, `${B}@node-2 zone-a`],
    cluster: 'B',
    local: 'A',
  },
  {
    what: 'hints have no part where all end',
    endpoints: [`${A}@node-2 zone-b ending`, `${B}@node-3 zone-a ending`],
    cluster: 'A B',
  },
  {
    what: 'hints of nodes: those for this node',
    endpoints: [`${A}@node-1 for:node-1 zone-a`, `${B}@node-2 for:node-2 zone-a`],
    cluster: 'A',
    local: 'A',
  },
  {
    what: 'hints of nodes, none for this one: those of the zone',
    endpoints: [`${A}@node-2 for:node-2 zone-a`, `${B}@node-3 for:node-3 zone-b`],
    cluster: 'A',
  },
  {
    what: 'one endpoint without a hint of nodes: those of the zone',
    endpoints: [`${A}@node-1 for:node-1 zone-a`, `${B}@node-2 zone-a`, `${C}@node-3 zone-b`],
    cluster: 'A B',
    local: 'A',
  },
  {
    what: 'hints of nodes alone, none for this one: all',
    endpoints: [`${A}@node-2 for:node-2`, `${B}@node-3 for:node-3`],
    cluster: 'A B',
  },
];

const NAMES: Record<string, string> = { [A]: 'A', [B]: 'B', [C]: 'C' };

for (const { what, only, node = NODE, endpoints, cluster = '', local = '', usable = true } of ROWS) {
  test(`endpoints: ${what}`, () => {
    const parsed = parseSlice(slice('s', endpoints));
    assert.ok('slice' in parsed && parsed.slice !== undefined);
    const candidates = candidatesOf([parsed.slice], 4, { name: 'p', protocol: 'TCP' }, node);
    const wanted = { cluster: only !== 'local', local: only !== 'cluster' };
    const found = categorize(candidates, wanted, node);
    const names = (list: readonly { ip: string }[]): string =>
      list
        .map(({ ip }) => NAMES[ip] ?? ip)
        .toSorted()
        .join(' ');
    assert.deepEqual(
      { cluster: names(found.cluster), local: names(found.local), usable: found.usable },
      { cluster, local, usable },
    );
  });
}

test(`there are ${ROWS.length} of them`, () => assert.equal(ROWS.length, 31));
