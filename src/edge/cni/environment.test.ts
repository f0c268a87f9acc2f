import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  CNI_COMMANDS,
  type CniCommand,
  mayBeOwnNamespace,
  parseArgs,
  parseCommand,
  parseContainerId,
  parseIfname,
  requireVariables,
} from './environment.ts';
import { CniError } from './errors.ts';

const ALL = {
  CNI_CONTAINERID: 'c1',
  CNI_NETNS: '/run/netns/p',
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/opt/cni/bin',
};

function without(...names: string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(ALL).filter(([name]) => !names.includes(name)));
}

void test('A1: each command asks for its variables, and for no other', () => {
  const required: Record<CniCommand, string[]> = {
    ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'],
    CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'],
    DEL: ['CNI_CONTAINERID', 'CNI_IFNAME', 'CNI_PATH'],
    GC: ['CNI_PATH'],
    STATUS: ['CNI_PATH'],
    VERSION: [],
  };
  for (const command of CNI_COMMANDS) {
    for (const name of Object.keys(ALL)) {
      const call = () => requireVariables(command, without(name));
      if (required[command].includes(name)) assert.throws(call, { code: 4 }, `${command} without ${name}`);
      else assert.doesNotThrow(call, `${command} without ${name}`);
    }
  }
});

void test('A2: all that is missing is named in one error, and empty is missing', () => {
  assert.throws(() => requireVariables('ADD', { CNI_NETNS: '' }), {
    code: 4,
    message:
      'ADD needs CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME, CNI_PATH in its environment; set what is missing',
  });
});

void test('A3: container ids', () => {
  for (const id of ['a', '0', 'A-b_c.d', 'f'.repeat(128)]) assert.equal(parseContainerId(id), id);
  for (const id of ['', '-a', '.a', '_a', 'a/b', 'a b', 'a\n', 'ä', 'a\0', '../../etc', 'f'.repeat(129)])
    assert.throws(() => parseContainerId(id), { code: 4, message: /^CNI_CONTAINERID: / }, JSON.stringify(id));
});

void test('A4: interface names', () => {
  for (const name of ['eth0', 'a', 'net1.100', '...', 'a'.repeat(15)]) assert.equal(parseIfname(name), name);
  const wrong = ['', '.', '..', 'a/b', 'a:b', 'a b', 'a\tb', 'a\n', 'eth\0', 'é', 'a\u2028', 'a'.repeat(16)];
  for (const name of wrong)
    assert.throws(() => parseIfname(name), { code: 4, message: /^CNI_IFNAME: / }, JSON.stringify(name));
});

void test('A4: a pattern of the kernel is no name', () => {
  assert.throws(() => parseIfname('eth%d'), { code: 4, message: /percent/ });
});

void test('A6: an unknown command is refused with those that there are', () => {
  for (const command of CNI_COMMANDS) assert.equal(parseCommand({ CNI_COMMAND: command }), command);
  for (const command of [undefined, '', 'add', 'ADD ', 'UPDATE', '__proto__']) {
    assert.throws(() => parseCommand(command === undefined ? {} : { CNI_COMMAND: command }), {
      code: 4,
      message: /use one of ADD, DEL, CHECK, GC, STATUS, VERSION/,
    });
  }
});

void test('A13: the flag that allows the own namespace', () => {
  for (const yes of ['1', 'true', 'TRUE']) assert.ok(mayBeOwnNamespace({ CNI_NETNS_OVERRIDE: yes }));
  for (const no of ['', '0', 'false', 'yes', '11'])
    assert.ok(!mayBeOwnNamespace({ CNI_NETNS_OVERRIDE: no }), no);
  assert.ok(!mayBeOwnNamespace({}));
});

void test('C9: CNI_ARGS are pairs, and unknown ones are refused unless IgnoreUnknown says otherwise', () => {
  assert.deepEqual(parseArgs(''), {});
  assert.deepEqual(parseArgs('IP=10.244.0.7;MAC=02:00:00:00:00:01;'), {
    IP: '10.244.0.7',
    MAC: '02:00:00:00:00:01',
  });
  assert.deepEqual(parseArgs('IgnoreUnknown=1;K8S_POD_NAME=web-0;FOO=bar=baz'), {
    IgnoreUnknown: '1',
    K8S_POD_NAME: 'web-0',
  });
  for (const no of ['', 'IgnoreUnknown=0;', 'IgnoreUnknown=false;'])
    assert.throws(() => parseArgs(`${no}FOO=bar`), { code: 4, message: /^CNI_ARGS: "FOO" unknown/ });
  assert.doesNotThrow(() => parseArgs('IgnoreUnknown=True;FOO=bar'));
});

void test('C9: CNI_ARGS that are no pairs, or are there twice, are refused', () => {
  for (const text of ['IP', '=x', 'IP=1.2.3.4;;MAC', 'IP=1.2.3.4;IP=1.2.3.5'])
    assert.throws(() => parseArgs(text), { code: 4, message: /^CNI_ARGS: / }, text);
  assert.deepEqual(parseArgs('IgnoreUnknown=1;__proto__=x'), { IgnoreUnknown: '1' });
});

void test('whatever is in the environment, the answer is a value or a CNI error of one line', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      for (const parse of [parseArgs, parseIfname, parseContainerId]) {
        try {
          parse(text);
        } catch (error) {
          assert.ok(error instanceof CniError);
          assert.ok(error.message.length < 400);
        }
      }
    }),
  );
});
