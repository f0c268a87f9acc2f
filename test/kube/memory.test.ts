import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { FakeApi } from './fake-api.ts';
import type { LargeCluster } from './large-cluster.ts';

const NODES = 5000;
const PODS = 20_000;
const MIB = 1024 * 1024;
/** Of the whole process, at its worst. */
const BUDGET = 120 * MIB;

/** What real objects carry beside what is needed: 4 KB a pod. */
const BALLAST = {
  annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{"a":"b"}'.repeat(100) },
  managedFields: Array.from({ length: 10 }, (_, i) => ({
    manager: `controller-${i}`,
    operation: 'Update',
    fieldsV1: {
      'f:metadata': { 'f:labels': { '.': {}, 'f:app': {}, [`f:l${i}`]: {} } },
      'f:spec': { 'f:containers': {} },
    },
    time: '2026-01-01T00:00:00Z',
  })),
};

const identity = (name: string, i: number) => ({
  name,
  uid: `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`,
  resourceVersion: String(1000 + i),
  creationTimestamp: '2026-01-01T00:00:00Z',
  ...BALLAST,
});

function nodeAt(i: number) {
  return {
    metadata: {
      ...identity(`node-${i}`, i),
      labels: { 'kubernetes.io/hostname': `node-${i}`, zone: `z${i % 3}` },
    },
    spec: { podCIDRs: [`10.${128 + (i >> 8)}.${i & 255}.0/24`] },
    status: { addresses: [{ type: 'InternalIP', address: `192.168.${i >> 8}.${i & 255}` }] },
  };
}

function podAt(i: number) {
  const app = `app-${i % 400}`;
  return {
    metadata: {
      ...identity(`${app}-${i}`, i),
      namespace: `team-${i % 100}`,
      labels: {
        app,
        'app.kubernetes.io/name': app,
        'app.kubernetes.io/instance': `i-${i % 400}`,
        'pod-template-hash': `h${i % 400}`,
        tier: 'backend',
      },
    },
    spec: {
      nodeName: `node-${i % NODES}`,
      containers: [{ ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }] }],
    },
    status: { phase: 'Running', podIPs: [{ ip: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}` }] },
  };
}

/** Page by page, or all at once as servers may. */
function serve(
  url: URL,
  response: ServerResponse,
  count: number,
  make: (i: number) => unknown,
  paged: boolean,
): void {
  const from = Number(url.searchParams.get('continue') ?? '0');
  const to = paged ? Math.min(count, from + Number(url.searchParams.get('limit') ?? count)) : count;
  const metadata = { resourceVersion: '100', ...(to < count ? { continue: String(to) } : {}) };
  response.writeHead(200);
  response.write(`{"kind":"List","metadata":${JSON.stringify(metadata)},"items":[`);
  let next = from;
  const more = () => {
    while (next < to) {
      const fits = response.write(`${next === from ? '' : ','}${JSON.stringify(make(next))}`);
      next++;
      if (!fits) return void response.once('drain', more);
    }
    response.end(']}');
  };
  more();
}

const cache = mkdtempSync(join(tmpdir(), 'flt-cache-'));
after(() => rmSync(cache, { recursive: true, force: true }));

for (const paged of [true, false]) {
  test(`5,000 nodes and 20,000 pods fit into 120 MiB, ${paged ? 'page by page' : 'also from a server that ignores pages'}`, async (t) => {
    using api = await FakeApi.start();
    api.intercept = (url, response) => {
      if (url.searchParams.get('watch') === '1') return false;
      if (url.pathname.endsWith('/nodes')) serve(url, response, NODES, nodeAt, paged);
      else serve(url, response, PODS, podAt, paged);
      return true;
    };
    const flags = ['--max-semi-space-size=1', '--optimize-for-size'];
    const script = join(import.meta.dirname, 'large-cluster.ts');
    // As in bin/fairlead: without the cache the types are stripped at every start, which alone takes 50 MiB.
    const env = { ...process.env, NODE_COMPILE_CACHE: cache };
    const run = (...args: string[]) =>
      promisify(execFile)(process.execPath, [...flags, script, ...args], { env });
    await run();
    const { stdout } = await run(`http://127.0.0.1:${api.port}`);
    const found = JSON.parse(stdout) as LargeCluster;
    assert.deepEqual([found.nodes, found.pods, found.problems], [NODES, PODS, []]);
    const mib = (bytes: number) => `${Math.round(bytes / MIB)} MiB`;
    t.diagnostic(
      `resident ${mib(found.residentBefore)} before, ${mib(found.resident)} after, ${mib(found.residentPeak)} at most; longest stall ${found.longestStallMs} ms`,
    );
    assert.ok(found.residentPeak <= BUDGET, `the process grew to ${mib(found.residentPeak)}`);
  });
}
