/** Every metric that an agent can export: documented with its type, named as Prometheus asks, and drawn in the dashboard. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseCidr } from '../../base/ip/cidr.ts';
import { parseIp } from '../../base/ip/ip.ts';
import type { Reach } from '../../plan/probe/rounds.ts';
import { createProbeMetrics } from '../probes/metrics.ts';
import { createServiceMetrics } from '../services/metrics.ts';
import { createAgentMetrics } from './metrics.ts';
import type { AgentStatus } from './status.ts';

const ROOT = new URL('../../../', import.meta.url);

const STATUS: AgentStatus = {
  node: 'node-1',
  version: '1',
  pid: 1,
  startedAt: '',
  readiness: { ready: true, view: { ranges: [parseCidr('10.244.0.0/24')], nodeIps: [], mtu: 1450 } },
  backend: 'auto',
  underlays: [],
  peers: [],
  attachments: [],
  problems: [],
  services: {
    mode: 'auto',
    serving: false,
    why: 'test',
    services: 0,
    endpoints: 0,
    lingering: 0,
    flowsCut: 0,
  },
  spoofDrops: { known: true, packets: { 'spoofed-source': 1 } },
  rangeRefusals: [{ cause: 'route', node: 'node-1', reason: 'x' }],
  eventLoopDelay: { p50: 0, p99: 0, max: 0 },
  policy: { isolated: 0, policies: 0, synced: true, connectionsCut: 0, enforced: undefined },
};

function reach(index: number, lost = 0): Reach {
  const address = parseIp(`10.244.${index}.0`);
  const path = { mode: 'direct', gateway: parseIp('192.168.1.3') } as const;
  return { target: { peer: `node-${index}`, family: 4, address, path }, sent: 10, lost, rttSeconds: 0.001 };
}

const probes = createProbeMetrics();
const METRICS = [
  ...createAgentMetrics('1').all(STATUS, [], { warn: 0, error: 0 }, true),
  ...probes.all([reach(1)], []),
];
/** Of services, which the dashboard does not draw. */
const OF_SERVICES = createServiceMetrics().all(STATUS.services, undefined);

test('every metric is documented with its type, and nothing else is', () => {
  const page = readFileSync(new URL('docs/metrics.md', ROOT), 'utf8');
  const documented = [...page.matchAll(/^\| `(\S+)` \| (\w+) \|/gm)].map(
    ([, name, type]) => `${name} ${type}`,
  );
  assert.deepEqual(
    documented.toSorted(),
    [...METRICS, ...OF_SERVICES].map(({ name, type }) => `${name} ${type}`).toSorted(),
  );
});

test('names follow the conventions of Prometheus', () => {
  for (const { name, type, help } of METRICS) {
    assert.match(name, /^(fairlead|process)_[a-z_]+$/);
    assert.equal(name.endsWith('_total'), type === 'counter', name);
    if (type === 'histogram') assert.match(name, /_seconds$/);
    assert.match(help, /^[A-Z].*[.)1]$/, name);
  }
});

test('the alerts and queries of the page are of metrics that there are', () => {
  const page = readFileSync(new URL('docs/metrics.md', ROOT), 'utf8');
  const used = [...page.matchAll(/^```[^`]*^```/gm)].flatMap(([block]) => seriesIn(block));
  assert.ok(used.length > 5);
  assert.deepEqual(
    used.filter((name) => !exported().has(name)),
    [],
  );
});

test('a large cluster has series for the peers that lose probes, not for all', () => {
  const few = Array.from({ length: 100 }, (_, index) => reach(index));
  const many = Array.from({ length: 200 }, (_, index) => reach(index, index < 150 ? index : 0));
  const series = (reaches: Reach[]) =>
    probes
      .all(reaches, [])
      .find(({ name }) => name === 'fairlead_peer_probe_lost_total')!
      .samples();
  assert.equal(series(few).length, 100);
  assert.equal(series(many).length, 100);
  assert.deepEqual(series(many)[0], { labels: { peer: 'node-149', family: '4' }, value: 149 });
});

type Panel = {
  id: number;
  type: string;
  title: string;
  gridPos: { h: number; w: number; x: number; y: number };
  datasource?: { type: string; uid: string };
  targets?: { refId: string; expr: string; datasource: { type: string; uid: string } }[];
};
type Dashboard = {
  schemaVersion: number;
  title: string;
  uid: string;
  id: null;
  templating: { list: { name: string; type: string; query: unknown; definition?: string }[] };
  panels: Panel[];
};

const dashboard = JSON.parse(
  readFileSync(new URL('deploy/grafana-dashboard.json', ROOT), 'utf8'),
) as Dashboard;
const SOURCE = { type: 'prometheus', uid: '${datasource}' };

test('the dashboard asks for metrics that there are, and draws each of them', () => {
  const expressions = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
  const variables = dashboard.templating.list.flatMap(({ definition = '' }) => definition);
  const used = new Set([...expressions, ...variables].flatMap(seriesIn));
  assert.deepEqual(
    [...used].filter((name) => !exported().has(name)),
    [],
  );
  const drawn = (name: string) =>
    [...used].some((one) => one.replace(/_(bucket|sum|count)$/, '') === name || one === name);
  assert.deepEqual(
    METRICS.filter(({ name }) => !drawn(name)).map(({ name }) => name),
    [],
  );
});

test('the dashboard has the shape that Grafana imports', () => {
  // 39 is that of Grafana 10.4; older ones are migrated on import, newer ones refused by older Grafanas.
  assert.ok(dashboard.schemaVersion >= 36 && dashboard.schemaVersion <= 39);
  assert.equal(dashboard.id, null);
  assert.match(dashboard.uid, /^[a-z0-9-]{1,40}$/);
  const [source, ...others] = dashboard.templating.list;
  assert.deepEqual([source!.name, source!.type, source!.query], ['datasource', 'datasource', 'prometheus']);
  for (const variable of others) assert.deepEqual((variable as { datasource?: unknown }).datasource, SOURCE);
  const names = new Set(dashboard.templating.list.map(({ name }) => name));
  const ids = dashboard.panels.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
  for (const { id, type, title, gridPos, datasource, targets } of dashboard.panels) {
    assert.ok(Number.isInteger(id) && title !== '', `panel ${id}`);
    const { h, w, x, y } = gridPos;
    assert.ok(h > 0 && w > 0 && x >= 0 && y >= 0 && x + w <= 24, `panel ${title}`);
    if (type === 'row') continue;
    assert.deepEqual(datasource, SOURCE, title);
    assert.ok(targets!.length > 0, title);
    const refs = targets!.map(({ refId }) => refId);
    assert.equal(new Set(refs).size, refs.length, title);
    for (const target of targets!) {
      assert.deepEqual(target.datasource, SOURCE, title);
      for (const [, variable] of target.expr.matchAll(/\$\{?([a-z]\w*)/g))
        assert.ok(names.has(variable!), title);
    }
  }
  for (const [index, one] of dashboard.panels.entries())
    for (const other of dashboard.panels.slice(index + 1))
      assert.ok(!overlaps(one.gridPos, other.gridPos), `${one.title} lies on ${other.title}`);
});

function overlaps(a: Panel['gridPos'], b: Panel['gridPos']): boolean {
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

/** Names of series in an expression. */
function seriesIn(expression: string): string[] {
  return [...expression.matchAll(/\b(?:fairlead|process)_[a-z_]+/g)].map(([name]) => name);
}

function exported(): Set<string> {
  return new Set(
    METRICS.flatMap(({ name, type }) =>
      type === 'histogram' ? ['_bucket', '_sum', '_count'].map((suffix) => `${name}${suffix}`) : [name],
    ),
  );
}
