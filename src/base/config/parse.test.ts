import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { FairleadError } from '../errors/errors.ts';
import { compareConfigurations } from './configuration.ts';
import { parseConfiguration } from './parse.ts';
import { configurationPage, configurationSchema } from './schema.ts';

function problems(text: string): string {
  try {
    parseConfiguration(text, 'f.yaml');
  } catch (error) {
    assert.ok(error instanceof FairleadError && error.code === 'FL_CONFIGURATION');
    return error.message;
  }
  return assert.fail(`accepted: ${text}`);
}

test('an empty file is the default configuration', () => {
  for (const text of ['', '# nothing\n', '---\n', '{}', 'vxlan:\n']) {
    const configuration = parseConfiguration(text, 'f.yaml');
    assert.deepEqual(configuration.podNetwork, ['10.244.0.0/16']);
    assert.equal(configuration.backend, 'auto');
    assert.deepEqual(configuration.vxlan, { port: 8472, vni: 1 });
    assert.equal(configuration.mtu, 'auto');
  }
});

test('values arrive typed', () => {
  const text =
    'podNetwork: [10.10.0.0/16, fd00:10::/56]\nbackend: host-gw\nvxlan: { port: 4789 }\nmtu: 9000\nlog:\n  level: debug\n';
  const configuration = parseConfiguration(text, 'f.yaml');
  assert.deepEqual(configuration.podNetwork, ['10.10.0.0/16', 'fd00:10::/56']);
  assert.equal(configuration.vxlan.port, 4789);
  assert.equal(configuration.mtu, 9000);
  assert.equal(configuration.log.level, 'debug');
});

test('an unknown key is refused with its place and the nearest known one', () => {
  assert.equal(
    problems('backened: auto\n'),
    'f.yaml:1:1: backened: is not a key of Fairlead; did you mean backend?',
  );
  assert.match(
    problems('vxlan:\n  prot: 4789\n'),
    /^f\.yaml:2:3: vxlan\.prot: .*did you mean vxlan\.port\?$/,
  );
  assert.match(problems('kubeProxyReplacement: true\n'), /docs\/configuration\.md lists them all/);
});

test('each wrong value is named with what would fit, all of them at once', () => {
  const text =
    'backend: vxlna\nvxlan: { port: 70000, vni: "1" }\nmtu: 20\nmasquerade: { enabled: yes please }\npodNetwork: 10.244.0.1/16\nnode: { name: Node_1, addresses: 10.0.0.1 }\n';
  const lines = problems(text).split('\n');
  assert.equal(lines.length, 8);
  assert.match(
    lines[0]!,
    /backend: "vxlna" does not fit; write one of auto, vxlan, host-gw; did you mean vxlan\?/,
  );
  assert.match(lines[1]!, /vxlan\.port: 70000 does not fit; write a whole number from 1 to 65535/);
  assert.match(
    lines[5]!,
    /podNetwork: range: "10\.244\.0\.1\/16" has host bits set; the range is 10\.244\.0\.0\/16/,
  );
});

test('hostile YAML is refused in a sentence', () => {
  const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\npodNetwork: [*b,*b]\n`;
  for (const text of [
    bomb,
    'a: [',
    '\tbackend: auto',
    'backend: auto\nbackend: vxlan',
    'x'.repeat(300_000),
    '- a\n- b',
    'backend: auto\n---\nbackend: auto',
    'podNetwork: []',
    'podNetwork: [10.0.0.0/8, 10.1.0.0/16]',
    'vxlan: 7',
    'backend: {a: b}',
    '__proto__: {a: 1}',
    '? [a]\n: b',
  ]) {
    assert.ok(problems(text).length > 10, text.slice(0, 40));
  }
});

test('any text gives a configuration or an error of the configuration', () => {
  const word = fc.constantFrom(
    'backend',
    'vxlan',
    'port',
    ':',
    ' ',
    '\n',
    '  ',
    '[',
    ']',
    '{',
    '}',
    '&a',
    '*a',
    '-',
    'auto',
    '1',
    '"',
    '|',
    '#',
    '!!int',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(word).map((words) => words.join('')),
      ),
      (text) => {
        try {
          parseConfiguration(text, 'f.yaml');
        } catch (error) {
          assert.ok(error instanceof FairleadError, String(error));
        }
      },
    ),
  );
});

test('a change says what takes effect now and what waits, and why', () => {
  const before = parseConfiguration('', 'f.yaml');
  const after = parseConfiguration('backend: vxlan\npaths: { socketDirectory: /tmp/x }\n', 'f.yaml');
  assert.deepEqual(compareConfigurations(before, after), {
    live: ['backend'],
    restart: [{ path: 'paths.socketDirectory', reason: 'the sockets are opened once, at the start' }],
  });
});

test('the published schema and the page are those of the keys', () => {
  const root = new URL('../../../', import.meta.url);
  assert.deepEqual(
    JSON.parse(readFileSync(new URL('deploy/configuration.schema.json', root), 'utf8')),
    JSON.parse(JSON.stringify(configurationSchema())),
    "run 'node scripts/generate.ts'",
  );
  assert.equal(readFileSync(new URL('docs/configuration.md', root), 'utf8'), configurationPage());
});
