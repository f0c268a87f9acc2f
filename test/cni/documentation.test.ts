/** Pages that name a test for each line: those tests exist, and what tests of the contract say of themselves is listed. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CNI_CODES } from '../../src/edge/cni/errors.ts';

const ROOT = join(import.meta.dirname, '../..');
const page = read('docs/cni.md');

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

for (const [path, least] of [
  ['docs/cni.md', 50],
  ['docs/faults.md', 20],
  ['docs/policy-conformance.md', 96],
  ['docs/kubernetes-conformance.md', 60],
  ['docs/services-conformance.md', 30],
] as const) {
  void test(`every test that ${path} names exists`, () => checkReferences(read(path), least));
}

function checkReferences(document: string, least: number): void {
  const references = [...document.matchAll(/`([\w/.-]+\.(?:test|proof)\.ts)`: ((?:“[^”]+”(?:, )?)+)/g)];
  assert.ok(references.length > least);
  for (const [, file = '', names = ''] of references) {
    const text = read(file);
    for (const [, name = ''] of names.matchAll(/“([^”]+)”/g))
      assert.ok(text.includes(name), `${file} has no test “${name}”`);
  }
}

void test('every test that begins with a line of the contract is named there', () => {
  const files = readdirSync(join(ROOT, 'src/edge/cni')).filter((file) => file.endsWith('.test.ts'));
  for (const file of files) {
    const rows = new Set(
      [...read(`src/edge/cni/${file}`).matchAll(/test\('([A-I]\d*): /g)].map(([, row = '']) => row),
    );
    for (const row of rows) {
      const line = page.split('\n').filter((text) => text.includes(`| ${row} |`) && text.includes(file));
      assert.ok(line.length > 0, `docs/cni.md does not name src/edge/cni/${file} in a line of ${row}`);
    }
  }
});

void test('every error code is explained', () => {
  const explained = [...page.matchAll(/^\| (\d+) \| /gm)].map(([, code]) => Number(code));
  assert.deepEqual(explained, Object.values(CNI_CODES));
});
