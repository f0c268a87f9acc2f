/** The architecture as tests: what may import what, that every code and dependency is documented, where logic may be. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';
import { ERROR_CODES } from '../src/errors/errors.ts';

const ROOT = resolve(import.meta.dirname, '..');
/** Folders whose code takes values and returns values; single files elsewhere are named one by one. */
const PURE_FOLDERS = [
  'src/ip',
  'src/cni',
  'src/ipam',
  'src/pod',
  'src/overlay',
  'src/policy',
  'src/hostport',
  'src/errors',
  'src/lab/api/schema',
  'src/lab/api/patch',
  'src/lab/api/apply',
  'src/lab/api/openapi',
  'src/kube/kinds',
  'src/plan/service',
  'src/edge/nftables/service',
];
const PURE_FILES = new Set([
  'src/kube/kinds/fields.ts',
  'src/kube/kinds/intern.ts',
  'src/conntrack/flush.ts',
  'src/conntrack/list.ts',
  'src/reconcile/diff.ts',
  'src/reconcile/identity.ts',
  'src/reconcile/parts.ts',
  'src/reconcile/state.ts',
  'src/reconcile/steps.ts',
  'src/netlink/message.ts',
  'src/netlink/attribute.ts',
  'src/netlink/link.ts',
  'src/netlink/route.ts',
  'src/nftables/objects.ts',
  'src/nftables/transaction.ts',
  'src/nftables/transition.ts',
  'src/netlink/address.ts',
  'src/netlink/neighbor.ts',
  'src/netlink/rule.ts',
  'src/netlink/qdisc.ts',
  'src/netlink/redirect.ts',
  'src/netlink/netconf.ts',
  'src/netlink/vxlan.ts',
  'src/netlink/family.ts',
  'src/netlink/errno.ts',
  'src/netlink/operation.ts',
  'src/nftables/diff.ts',
  'src/nftables/elements.ts',
  'src/cluster/node.ts',
  'src/cluster/agent-record.ts',
  'src/cluster/agent-report.ts',
  'src/cluster/members.ts',
  'src/probe/problems.ts',
  'src/probe/rounds.ts',
  'src/probe/target.ts',
  'src/cluster/ranges.ts',
  'src/cluster/range-plan.ts',
  'src/cluster/check-manifests.ts',
  'src/cluster/proposed-pods.ts',
  'src/cluster/proposed-policies.ts',
  'src/kube/access.ts',
  'src/kube/api-error.ts',
  'src/kube/backoff.ts',
  'src/kube/collection.ts',
  'src/kube/lines.ts',
  'src/kube/list-reader.ts',
  'src/image/oci.ts',
  'src/image/platform.ts',
  'src/image/root.ts',
  'src/image/shared-libraries.ts',
  'src/install/host-files.ts',
  'src/install/network-list.ts',
  'src/lab/topology.ts',
  'src/lab/kubelet/container.ts',
  'src/lab/kubelet/plan.ts',
  'src/lab/kubelet/pod-status.ts',
  'src/lab/api/authorize.ts',
  'src/lab/api/store.ts',
  'src/lab/api/write.ts',
  'src/lab/api/delete.ts',
  'src/lab/api/read.ts',
  'src/lab/api/discovery.ts',
  'src/lab/api/table.ts',
  'src/lab/api/certificate.ts',
]);
/** What pure code may import from Node.js: computations, no input or output. */
const PURE_BUILTINS = new Set(['node:crypto', 'node:buffer', 'node:util', 'node:assert/strict', 'node:test']);

const files = [...walk(join(ROOT, 'src')), ...walk(join(ROOT, 'cmd'))].map((path) => relative(ROOT, path));
const production = files.filter((path) => !path.endsWith('.test.ts'));

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

test('no import cycles', () => {
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
});

test('cmd/ holds composition roots alone', () => {
  for (const path of production.filter((file) => file.startsWith('cmd/'))) {
    const lines = readFileSync(join(ROOT, path), 'utf8').split('\n').length;
    assert.ok(lines <= 60, `${path} has ${lines} lines: logic belongs into src/`);
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
