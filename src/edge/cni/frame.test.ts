import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { FairleadError } from '../../base/errors/errors.ts';
import {
  decodeReply,
  decodeRequest,
  ENVIRONMENT_LIMIT,
  encodeReply,
  encodeRequest,
  REPLY_LIMIT,
  STDIN_LIMIT,
} from './frame.ts';

const anyValue = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\0', ''));
const anyName = fc.stringMatching(/^[A-Z_]{1,12}$/).map((name) => `CNI_${name}`);
const anyRequest = fc.record(
  {
    environment: fc.dictionary(anyName, anyValue, { noNullPrototype: true }),
    stdin: fc.string({ unit: 'grapheme' }),
  },
  { noNullPrototype: true },
);

function header(environment: number, stdin: number): Buffer {
  const bytes = Buffer.from('FLC1\0\0\0\0\0\0\0\0');
  bytes.writeUInt32BE(environment, 4);
  bytes.writeUInt32BE(stdin, 8);
  return bytes;
}

function framed(environment: string, stdin = ''): Buffer {
  return Buffer.concat([header(environment.length, stdin.length), Buffer.from(environment + stdin)]);
}

void test('the bytes of a request', () => {
  assert.equal(
    encodeRequest({ environment: { CNI_COMMAND: 'ADD' }, stdin: '{}' }).toString('latin1'),
    'FLC1\0\0\0\x10\0\0\0\x02CNI_COMMAND=ADD\0{}',
  );
  assert.equal(encodeReply({ exitCode: 1, stdout: 'no' }).toString('latin1'), 'FLC1\0\0\0\x01\0\0\0\x02no');
});

void test('what is encoded decodes to the same', () => {
  fc.assert(
    fc.property(anyRequest, (request) => {
      const decoded = decodeRequest(encodeRequest(request));
      assert.deepEqual({ ...decoded, environment: { ...decoded?.environment } }, request);
    }),
  );
  fc.assert(
    fc.property(fc.constantFrom<0 | 1>(0, 1), fc.string({ unit: 'grapheme' }), (exitCode, stdout) => {
      assert.deepEqual(decodeReply(encodeReply({ exitCode, stdout })), { exitCode, stdout });
    }),
  );
});

void test('a request in any pieces is there with its last byte, and not before', () => {
  fc.assert(
    fc.property(anyRequest, fc.nat(), (request, cut) => {
      const bytes = encodeRequest(request);
      assert.equal(decodeRequest(bytes.subarray(0, cut % bytes.length)), undefined);
      assert.throws(() => decodeRequest(Buffer.concat([bytes, Buffer.alloc(1)])), { code: 'FL_FRAME' });
    }),
  );
});

void test('what cannot become a request is refused as soon as that is clear', () => {
  const wrong: [Buffer, RegExp][] = [
    [Buffer.from('G'), /does not begin with FLC1/],
    [Buffer.from('FLC2'), /does not begin with FLC1/],
    [header(ENVIRONMENT_LIMIT + 1, 0), /65537 bytes of environment/],
    [header(0, STDIN_LIMIT + 1), /1048577 bytes of configuration/],
    [header(0xffffffff, 0xffffffff), /bytes of environment/],
    [framed('CNI_A=1'), /last zero byte/],
    [framed('PATH=/bin\0'), /does not begin with CNI_/],
    [framed('CNI_A\0'), /does not begin with CNI_/],
    [framed('\0'), /does not begin with CNI_/],
  ];
  for (const [bytes, message] of wrong)
    assert.throws(() => decodeRequest(bytes), { code: 'FL_FRAME', message });
  assert.equal(decodeRequest(header(ENVIRONMENT_LIMIT, STDIN_LIMIT)), undefined);
});

void test('of a variable that is there twice the first counts, and none is inherited', () => {
  const environment = decodeRequest(framed('CNI_A=1\0CNI_A=2\0'))?.environment;
  assert.equal(environment?.['CNI_A'], '1');
  assert.equal(environment?.['constructor'], undefined);
});

void test('any bytes are a request, the beginning of one, or refused', () => {
  const anyBytes = fc.uint8Array({ maxLength: 64 });
  fc.assert(
    fc.property(anyBytes, fc.boolean(), (bytes, withMagic) => {
      try {
        decodeRequest(Buffer.concat([Buffer.from(withMagic ? 'FLC1' : ''), bytes]));
      } catch (error) {
        assert.ok(error instanceof FairleadError && error.code === 'FL_FRAME');
      }
    }),
  );
});

void test('an answer that is too long is an error that fits', () => {
  const bytes = encodeReply({ exitCode: 0, stdout: 'x'.repeat(REPLY_LIMIT + 1) });
  const { exitCode, stdout } = decodeReply(bytes)!;
  assert.equal(exitCode, 1);
  assert.equal(JSON.parse(stdout).code, 999);
  assert.equal(decodeReply(encodeReply({ exitCode: 0, stdout: 'x'.repeat(REPLY_LIMIT) }))?.exitCode, 0);
});
