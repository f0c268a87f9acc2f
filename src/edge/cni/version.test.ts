import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CNI_VERSIONS, isAtLeast, parseVersion, versionReply } from './version.ts';

const SUPPORTED = 'supported versions: 0.3.1, 0.4.0, 1.0.0, 1.1.0';

void test('A10: a configuration without cniVersion is of 0.1.0, which is refused', () => {
  assert.throws(() => parseVersion(undefined), { code: 1, message: /"0\.1\.0"/, details: SUPPORTED });
});

void test('A11: a version that is not supported is refused, with those that are', () => {
  for (const version of CNI_VERSIONS) assert.equal(parseVersion(version), version);
  for (const version of ['0.1.0', '0.2.0', '0.3.0', '1.2.0', '2.0.0', '', ' 1.1.0', 1.1, null, {}, ['1.1.0']])
    assert.throws(() => parseVersion(version), { code: 1, details: SUPPORTED }, JSON.stringify(version));
});

void test('B: VERSION lists what is supported, and is of the newest', () => {
  assert.deepEqual(JSON.parse(versionReply()), {
    cniVersion: '1.1.0',
    supportedVersions: ['0.3.1', '0.4.0', '1.0.0', '1.1.0'],
  });
});

void test('versions are in order', () => {
  assert.ok(isAtLeast('1.0.0', '0.4.0') && isAtLeast('0.4.0', '0.4.0') && !isAtLeast('0.3.1', '0.4.0'));
});
