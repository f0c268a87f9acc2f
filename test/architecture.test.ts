/** The architecture as tests: what may import what, that every code and dependency is documented, where logic may be. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';
import { ERROR_CODES } from '../src/base/errors/errors.ts';

const ROOT = resolve(import.meta.dirname, '..');
/**
 * From the ground up: what stands on a storey imports from its own and from those below. One room a feature; nothing of
 * the product imports from the lab.
 */
const STOREYS = [
  'src/base',
  'src/edge',
  'src/plan',
  'src/datapath',
  'src/cluster',
  'src/agent',
  'src/tools',
  'src/cli',
  'lab',
] as const;
/** Folders whose code takes values and returns values; single files elsewhere are named one by one. */
const PURE_FOLDERS = [
  'src/base/errors',
  'src/base/fields',
  'src/base/ip',
  'src/edge/cni',
  'src/edge/kubernetes/schema',
  'src/edge/marks',
  'src/edge/netlink/codec',
  'src/plan',
  'src/datapath/nftables/policy',
  'src/cluster/kinds',
  'lab/api/apply',
  'lab/api/openapi',
  'lab/api/patch',
  'lab/api/service',
];
const PURE_FILES = new Set([
  'lab/api/access/authorize.ts',
  'lab/api/access/certificate.ts',
  'lab/api/delete.ts',
  'lab/api/discovery.ts',
  'lab/api/read.ts',
  'lab/api/storage/store.ts',
  'lab/api/table/table.ts',
  'lab/api/write.ts',
  'lab/dns/answer.ts',
  'lab/dns/zone.ts',
  'lab/kubelet/container.ts',
  'lab/kubelet/plan.ts',
  'lab/kubelet/pod-status.ts',
  'lab/kubelet/readiness.ts',
  'lab/slices/endpoints.ts',
  'lab/slices/plan.ts',
  'lab/topology.ts',
  'src/agent/derive.ts',
  'src/agent/world.ts',
  'src/base/known.ts',
  'src/base/run/backoff.ts',
  'src/base/run/mutex.ts',
  'src/base/run/part.ts',
  'src/base/run/slices.ts',
  'src/cluster/ranges/plan.ts',
  'src/cluster/ranges/ranges.ts',
  'src/cluster/report/agent-record.ts',
  'src/cluster/report/agent-report.ts',
  'src/cluster/report/members.ts',
  'src/cluster/shared-addresses.ts',
  'src/datapath/datapath.ts',
  'src/datapath/nftables/inherited.ts',
  'src/datapath/nftables/node-input.ts',
  'src/datapath/nftables/node-table.ts',
  'src/datapath/nftables/pod-guard.ts',
  'src/datapath/nftables/tunnel-guard.ts',
  'src/edge/conntrack/flush.ts',
  'src/edge/conntrack/list.ts',
  'src/edge/kubernetes/access.ts',
  'src/edge/kubernetes/api-error.ts',
  'src/edge/kubernetes/collection.ts',
  'src/edge/kubernetes/intern.ts',
  'src/edge/kubernetes/lines.ts',
  'src/edge/kubernetes/list-reader.ts',
  'src/edge/netlink/state/diff.ts',
  'src/edge/netlink/state/identity.ts',
  'src/edge/netlink/state/parts.ts',
  'src/edge/netlink/state/state.ts',
  'src/edge/nftables/batch/batch.ts',
  'src/edge/nftables/batch/expressions.ts',
  'src/edge/nftables/batch/operations.ts',
  'src/edge/nftables/diff.ts',
  'src/edge/nftables/elements.ts',
  'src/edge/nftables/forward-chains.ts',
  'src/edge/nftables/ledger.ts',
  'src/edge/nftables/objects.ts',
  'src/edge/nftables/transaction.ts',
  'src/edge/nftables/transition.ts',
  'src/edge/runtime/host-files.ts',
  'src/tools/doctor/finding.ts',
  'src/tools/doctor/paths.ts',
  'src/tools/doctor/routing-rules.ts',
  'src/tools/doctor/traced.ts',
  'src/tools/image/oci.ts',
  'src/tools/image/platform.ts',
  'src/tools/image/root.ts',
  'src/tools/image/shared-libraries.ts',
  'src/tools/manifests/check-manifests.ts',
  'src/tools/manifests/proposed-pods.ts',
  'src/tools/manifests/proposed-policies.ts',
  'src/tools/status/why.ts',
]);
/** What pure code may import from Node.js: computations, no input or output. */
const PURE_BUILTINS = new Set(['node:crypto', 'node:buffer', 'node:util', 'node:assert/strict', 'node:test']);

const files = ['src', 'lab', 'cmd'].flatMap((folder) =>
  [...walk(join(ROOT, folder))].map((path) => relative(ROOT, path)),
);
const production = files.filter((path) => !/\.(test|proof)\.ts$/.test(path));

test('pure code imports nothing that does input or output', () => {
  const isPure = (path: string) =>
    PURE_FILES.has(path) || PURE_FOLDERS.some((folder) => path.startsWith(`${folder}/`));
  const wrong: string[] = [];
  for (const path of production.filter(isPure)) {
    for (const { specifier, typeOnly } of importsOf(path)) {
      if (typeOnly) continue;
      if (specifier.startsWith('node:') && !PURE_BUILTINS.has(specifier))
        wrong.push(`${path} → ${specifier}`);
      if (
        specifier.startsWith('.') &&
        !isPure(target(path, specifier)) &&
        reachesIo(target(path, specifier))
      ) {
        wrong.push(`${path} → ${target(path, specifier)}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

test('imports go down the storeys', (t) => {
  const storeyOf = (path: string) => STOREYS.findIndex((storey) => path.startsWith(`${storey}/`));
  const upward: string[] = [];
  for (const path of production.filter((file) => !file.startsWith('cmd/'))) {
    assert.ok(storeyOf(path) >= 0, `${path} stands on no storey`);
    for (const { specifier } of importsOf(path)) {
      if (!specifier.startsWith('.')) continue;
      const to = target(path, specifier);
      if (storeyOf(to) > storeyOf(path)) upward.push(`${path} → ${to}`);
    }
  }
  for (const storey of STOREYS.toReversed()) t.diagnostic(`${storey}: ${roomsOf(storey).join(', ')}`);
  t.diagnostic(`${upward.length} upward imports`);
  assert.deepEqual(upward, []);
});

test('no folder holds more than 20 files', () => {
  const sizes = Map.groupBy(files, dirname);
  assert.deepEqual(
    [...sizes].filter(([, members]) => members.length > 20).map(([folder]) => folder),
    [],
  );
});

test('no import cycles', (t) => {
  const state = new Map<string, 'open' | 'done'>();
  const visit = (path: string, trail: readonly string[]): void => {
    if (state.get(path) === 'done') return;
    assert.notEqual(state.get(path), 'open', `import cycle: ${[...trail, path].join(' → ')}`);
    state.set(path, 'open');
    for (const { specifier, typeOnly } of importsOf(path)) {
      if (!typeOnly && specifier.startsWith('.') && specifier.endsWith('.ts'))
        visit(target(path, specifier), [...trail, path]);
    }
    state.set(path, 'done');
  };
  for (const path of production) visit(path, []);
  t.diagnostic(`0 circles in ${production.length} files`);
});

test('cmd/ holds composition roots alone', () => {
  for (const path of production.filter((file) => file.startsWith('cmd/'))) {
    const lines = readFileSync(join(ROOT, path), 'utf8').split('\n').length;
    assert.ok(lines <= 80, `${path} has ${lines} lines: logic belongs into src/`);
  }
});

test('no file is longer than 400 lines', () => {
  for (const path of files) {
    const lines = readFileSync(join(ROOT, path), 'utf8').split('\n').length;
    assert.ok(lines <= 400, `${path} has ${lines} lines: a file holds one noun`);
  }
});

test('every error code has a section in docs/errors.md, and the other way round', () => {
  const documented = [
    ...readFileSync(join(ROOT, 'docs/errors.md'), 'utf8').matchAll(/^## (FL_[A-Z0-9_]+)$/gm),
  ].map((match) => match[1]!);
  assert.deepEqual(documented.toSorted(), Object.keys(ERROR_CODES).toSorted());
});

test('files and folders that the architecture page and the records of parts name exist', () => {
  for (const page of ['docs/architecture.md', 'docs/adr/0011-parts.md']) {
    const named = [
      ...readFileSync(join(ROOT, page), 'utf8').matchAll(/`((?:src|lab|cmd|native|test)\/[^`*…]+)`/g),
    ];
    assert.deepEqual(
      named.map(([, path]) => path!).filter((path) => !existsSync(join(ROOT, path))),
      [],
      page,
    );
  }
});

test('every dependency has a line in docs/dependencies.md', () => {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Record<
    string,
    Record<string, string>
  >;
  const setup = readFileSync(join(ROOT, 'scripts/setup.sh'), 'utf8');
  const debian = [...setup.matchAll(/^(?:TEST_)?PACKAGES="([^"]+)"$/gm)].flatMap((match) =>
    match[1]!.split(' '),
  );
  const names = [
    ...Object.keys({
      ...manifest.dependencies,
      ...manifest.devDependencies,
      ...manifest.optionalDependencies,
    }),
    ...debian,
  ];
  const text = readFileSync(join(ROOT, 'docs/dependencies.md'), 'utf8');
  assert.deepEqual(
    names.filter((name) => !text.includes(`\`${name}\``)),
    [],
  );
});

/** Folders right on a storey, and files that stand there by themselves. */
function roomsOf(storey: string): string[] {
  return [
    ...new Set(
      production
        .filter((path) => path.startsWith(`${storey}/`))
        .map((path) =>
          path
            .slice(storey.length + 1)
            .split('/')[0]!
            .replace(/\.ts$/, ''),
        ),
    ),
  ];
}

function* walk(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* walk(path);
    else if (entry.name.endsWith('.ts')) yield path;
  }
}

/** The modules that a file loads at run time; an import of types alone is erased. */
function importsOf(path: string): { specifier: string; typeOnly: boolean }[] {
  const text = readFileSync(join(ROOT, path), 'utf8');
  return [...text.matchAll(/^(?:import|export)\s([^;]*?)from\s+'([^']+)';/gms)].map((match) => ({
    specifier: match[2]!,
    typeOnly: /^type\s/.test(match[1]!.trim()) || /^\{(\s*type\s[^,}]+,?)+\s*\}$/.test(match[1]!.trim()),
  }));
}

function target(from: string, specifier: string): string {
  const path = relative(ROOT, resolve(ROOT, dirname(from), specifier));
  assert.ok(statSync(join(ROOT, path)).isFile(), `${from} imports ${specifier}`);
  return path;
}

/** Whether a file, or what it imports, reaches outside the process. */
function reachesIo(path: string, seen: Set<string> = new Set()): boolean {
  if (seen.has(path)) return false;
  seen.add(path);
  if (readFileSync(join(ROOT, path), 'utf8').includes('getBuiltinModule')) return true;
  return importsOf(path).some(({ specifier, typeOnly }) => {
    if (typeOnly) return false;
    if (specifier.startsWith('node:')) return !PURE_BUILTINS.has(specifier);
    return specifier.startsWith('.') && specifier.endsWith('.ts') && reachesIo(target(path, specifier), seen);
  });
}
