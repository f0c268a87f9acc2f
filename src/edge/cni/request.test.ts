import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { CniError } from './errors.ts';
import { encodeReply, encodeRequest } from './frame.ts';
import { parseRequest } from './request.ts';
import { errorReply } from './result/reply.ts';
import { encodeResult } from './result/result.ts';
import { CNI_VERSIONS } from './version.ts';

const ENVIRONMENT = {
  CNI_CONTAINERID: 'c1',
  CNI_NETNS: '/run/netns/p',
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/opt/cni/bin',
};

type Call = { environment?: Record<string, string>; configuration?: Record<string, unknown> };

function parse(
  command: string,
  { environment = {}, configuration = {} }: Call = {},
): ReturnType<typeof parseRequest> {
  return parseRequest(
    { ...ENVIRONMENT, CNI_COMMAND: command, ...environment },
    JSON.stringify({ cniVersion: '1.1.0', name: 'net', type: 'fairlead-cni', ...configuration }),
  );
}

void test('ADD, in every version', () => {
  for (const cniVersion of CNI_VERSIONS) {
    const request = parse('ADD', {
      environment: { CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0' },
      configuration: { cniVersion },
    });
    assert.ok(request.command === 'ADD');
    const { configuration, ...rest } = request;
    assert.deepEqual(rest, {
      command: 'ADD',
      containerId: 'c1',
      ifname: 'eth0',
      netns: '/run/netns/p',
      ownNamespace: 'refused',
      pod: { namespace: 'shop', name: 'web-0' },
    });
    assert.equal(configuration.cniVersion, cniVersion);
  }
});

void test('A1: VERSION needs nothing and looks at no input', () => {
  assert.deepEqual(parseRequest({ CNI_COMMAND: 'VERSION' }, '{'), { command: 'VERSION' });
});

void test('A8, A11, A9, A3: the first fault in this order is the answer', () => {
  const environment = { CNI_CONTAINERID: '-' };
  assert.throws(() => parseRequest({ ...ENVIRONMENT, CNI_COMMAND: 'ADD', CNI_CONTAINERID: '' }, '{'), {
    code: 4,
  });
  assert.throws(() => parseRequest({ ...ENVIRONMENT, CNI_COMMAND: 'ADD', ...environment }, '{'), { code: 6 });
  assert.throws(() => parse('ADD', { environment, configuration: { cniVersion: '9', name: '' } }), {
    code: 1,
  });
  assert.throws(() => parse('ADD', { environment, configuration: { name: '' } }), { code: 7 });
  assert.throws(() => parse('ADD', { environment }), { code: 4 });
});

void test('A11: older versions are refused for every command but VERSION', () => {
  for (const command of ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS']) {
    for (const cniVersion of ['0.1.0', '0.2.0', '0.3.0'])
      assert.throws(() => parse(command, { configuration: { cniVersion } }), { code: 1, details: /0\.3\.1/ });
  }
});

void test('A12: a configuration cannot ask for a command that its version does not have', () => {
  const since = { CHECK: '0.4.0', GC: '1.1.0', STATUS: '1.1.0' };
  const configuration = { prevResult: {}, 'cni.dev/valid-attachments': [] };
  for (const [command, first] of Object.entries(since)) {
    for (const cniVersion of CNI_VERSIONS) {
      const call = () => parse(command, { configuration: { ...configuration, cniVersion } });
      if (cniVersion >= first) assert.doesNotThrow(call);
      else
        assert.throws(call, {
          code: 1,
          message: `cniVersion: ${cniVersion} has no ${command}; use ${first} or later`,
        });
    }
  }
});

void test('A13: CNI_NETNS_OVERRIDE is told', () => {
  const request = parse('ADD', { environment: { CNI_NETNS_OVERRIDE: '1' } });
  assert.ok(request.command === 'ADD' && request.ownNamespace === 'allowed');
});

void test('D: DEL asks for nothing but names: whatever else is wrong, it releases', () => {
  const deletion = {
    command: 'DEL',
    containerId: 'c1',
    ifname: 'eth0',
    configuration: { cniVersion: '1.1.0', name: 'net' },
  };
  assert.deepEqual(
    parse('DEL', {
      environment: { CNI_NETNS: '', CNI_ARGS: 'FOO=bar;nonsense' },
      configuration: {
        mtu: -1,
        prevResult: 'broken',
        runtimeConfig: { portMappings: [{}], ips: ['x'] },
        dns: 7,
      },
    }),
    deletion,
  );
  for (const cniVersion of CNI_VERSIONS)
    assert.equal(parse('DEL', { configuration: { cniVersion } }).command, 'DEL');
});

void test('E: CHECK needs prevResult', () => {
  assert.equal(parse('CHECK', { configuration: { prevResult: {} } }).command, 'CHECK');
  for (const configuration of [{}, { prevResult: null }])
    assert.throws(() => parse('CHECK', { configuration }), { code: 7, message: /^prevResult: is missing/ });
});

void test('F: GC needs a list, and releases whatever else is wrong', () => {
  const valid = { 'cni.dev/valid-attachments': [{ containerID: 'c1', ifname: 'eth0' }] };
  assert.deepEqual(parse('GC', { configuration: { ...valid, mtu: 'broken', runtimeConfig: 7 } }), {
    command: 'GC',
    configuration: {
      cniVersion: '1.1.0',
      name: 'net',
      validAttachments: [{ containerId: 'c1', ifname: 'eth0' }],
    },
  });
  assert.throws(() => parse('GC'), { code: 7, message: /^cni\.dev\/valid-attachments: is missing/ });
});

void test('G: STATUS says that a configuration would not do for an ADD', () => {
  assert.equal(parse('STATUS').command, 'STATUS');
  assert.throws(() => parse('STATUS', { configuration: { mtu: 1e9 } }), { code: 7, message: /^mtu: / });
});

void test('I: the pod’s name is known where the runtime gives both parts in Kubernetes’ form', () => {
  for (const args of [
    '',
    'K8S_POD_NAME=web',
    'K8S_POD_NAMESPACE=;K8S_POD_NAME=web',
    'K8S_POD_NAMESPACE=a b;K8S_POD_NAME=c',
  ]) {
    const request = parse('ADD', { environment: { CNI_ARGS: args } });
    assert.ok(request.command === 'ADD' && request.pod === undefined, args);
  }
});

const KEYS = [
  'cniVersion',
  'name',
  'mtu',
  'dns',
  'args',
  'runtimeConfig',
  'prevResult',
  'cni.dev/valid-attachments',
  '__proto__',
];
const NESTED = [
  'cni',
  'ips',
  'mac',
  'portMappings',
  'bandwidth',
  'dns',
  'ip4',
  'interfaces',
  'routes',
  'hostPort',
  'containerID',
  '__proto__',
];
const anyConfiguration = fc.dictionary(
  fc.constantFrom(...KEYS),
  fc.oneof(
    fc.constantFrom('1.1.0', '0.4.0', 'net', 1400, null),
    fc.jsonValue({ maxDepth: 1 }),
    fc.dictionary(
      fc.constantFrom(...NESTED),
      fc.oneof(
        fc.jsonValue({ maxDepth: 1 }),
        fc.array(fc.dictionary(fc.constantFrom(...NESTED), fc.jsonValue({ maxDepth: 1 }))),
      ),
    ),
  ),
);

void test('whatever is asked, the answer is a request or a CNI error that fits into a frame', () => {
  const anyEnvironment = fc.dictionary(
    fc.constantFrom(
      'CNI_CONTAINERID',
      'CNI_NETNS',
      'CNI_IFNAME',
      'CNI_PATH',
      'CNI_ARGS',
      'CNI_NETNS_OVERRIDE',
    ),
    fc.string(),
  );
  const anyCommand = fc.constantFrom('ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION', '', 'x');
  fc.assert(
    fc.property(
      anyCommand,
      anyEnvironment,
      anyConfiguration,
      fc.boolean(),
      (command, random, configuration, sound) => {
        const environment = { ...ENVIRONMENT, ...(sound ? {} : random), CNI_COMMAND: command };
        const base = sound ? { ...configuration, cniVersion: '1.1.0', name: 'net' } : configuration;
        const stdin = JSON.stringify(base);
        encodeRequest({ environment, stdin });
        try {
          const request = parseRequest(environment, stdin);
          const previous = request.command === 'ADD' ? request.configuration.prevResult : undefined;
          if (previous !== undefined) JSON.parse(encodeResult(previous, '0.3.1'));
        } catch (error) {
          assert.ok(error instanceof CniError, String(error));
          assert.ok(error.message.length < 1000);
          assert.ok(encodeReply(errorReply(error, stdin)).length > 0);
        }
      },
    ),
    { numRuns: 500 },
  );
});
