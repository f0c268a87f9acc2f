import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfiguration, parseIdentity, parseValidAttachments } from './configuration.ts';
import type { JsonObject } from './json.ts';

function parse(more: JsonObject = {}): ReturnType<typeof parseConfiguration> {
  return parseConfiguration({ cniVersion: '1.1.0', name: 'fairlead', type: 'fairlead-cni', ...more }, {});
}

void test('the least configuration', () => {
  assert.deepEqual(parse(), {
    cniVersion: '1.1.0',
    name: 'fairlead',
    dns: {},
    requested: { ips: [] },
    portMappings: [],
    notices: [],
  });
});

void test('A9: a missing or invalid name is refused', () => {
  for (const name of ['a', '0.net', 'A_b-c.d', 'n'.repeat(64)])
    assert.equal(parseIdentity({ cniVersion: '1.0.0', name }).name, name);
  for (const name of [undefined, null, '', '-a', '.', 'a/b', 'a b', 'a\n', 'ñ', 7, {}, 'n'.repeat(65)])
    assert.throws(() => parseIdentity({ cniVersion: '1.0.0', name }), { code: 7, message: /^name: / });
});

void test('the MTU has bounds', () => {
  assert.equal(parse({ mtu: 1400 }).mtu, 1400);
  assert.equal(parse({ mtu: null }).mtu, undefined);
  for (const mtu of [0, 67, 65536, 1e9, -1, 1400.5, '1400', [1400]])
    assert.throws(() => parse({ mtu }), { code: 7, message: /^mtu: / }, JSON.stringify(mtu));
});

void test('I: dns of the capability, with its own names, is stronger than dns of the configuration', () => {
  const dns = { nameservers: ['10.96.0.10'], domain: 'cluster.local', search: ['a'], options: ['ndots:5'] };
  assert.deepEqual(parse({ dns }).dns, dns);
  const runtimeConfig = { dns: { servers: ['1.1.1.1'], searches: ['b'], options: [] } };
  assert.deepEqual(parse({ dns, runtimeConfig }).dns, { ...dns, nameservers: ['1.1.1.1'], search: ['b'] });
  for (const wrong of [
    { dns: [] },
    { dns: { search: 'a' } },
    { dns: { search: [1] } },
    { dns: { domain: [] } },
  ])
    assert.throws(() => parse(wrong), { code: 7, message: /^dns/ });
});

void test('I: all capabilities at once', () => {
  const { portMappings, bandwidth, requested, notices } = parse({
    capabilities: { portMappings: true, bandwidth: true, ips: true, mac: true, dns: true },
    runtimeConfig: {
      portMappings: [{ hostPort: 80, containerPort: 8080, protocol: 'tcp' }],
      bandwidth: { ingressRate: 1000, ingressBurst: 8000 },
      ips: ['10.244.0.9/24'],
      mac: '02:00:00:00:00:09',
    },
  });
  assert.deepEqual(portMappings, [{ protocol: 'tcp', hostPort: 80, containerPort: 8080 }]);
  assert.deepEqual(bandwidth, { ingress: { rate: 1000, burst: 8000 } });
  assert.deepEqual(requested, { ips: ['10.244.0.9'], mac: '02:00:00:00:00:09' });
  assert.deepEqual(notices, []);
});

void test('I: what has no effect is said, with the reason', () => {
  const { notices } = parse({
    ipam: { type: 'host-local' },
    vlan: 7,
    agentSockte: '/run/x.sock',
    MTU: 1400,
    runtimeConfig: { ipRanges: [[{ subnet: '10.0.0.0/8' }]], aliases: ['web'], constructor: 1 },
  });
  assert.deepEqual(
    notices.map((notice) => notice.split(' ')[0]),
    [
      'ipam',
      'agentSockte',
      'MTU',
      'runtimeConfig.ipRanges',
      'runtimeConfig.aliases',
      'runtimeConfig.constructor',
    ],
  );
  assert.match(notices[1]!, /perhaps agentSocket was meant/);
  assert.match(notices[2]!, /perhaps mtu was meant/);
});

void test('H: the keys of lists that runtimes keep for themselves are no slips', () => {
  const list = {
    disableCheck: 'true',
    disableGC: true,
    loadOnlyInlinedPlugins: true,
    cniVersions: ['1.0.0'],
  };
  assert.deepEqual(parse(list).notices, []);
});

void test('C9: args.cni and runtimeConfig are objects', () => {
  for (const wrong of [{ args: 'x' }, { args: { cni: [] } }, { runtimeConfig: 1 }, { prevResult: 'x' }])
    assert.throws(() => parse(wrong), { code: 7 }, JSON.stringify(wrong));
  assert.deepEqual(parse({ args: { cni: { ips: ['10.244.0.8'], labels: [] }, other: 1 } }).requested.ips, [
    '10.244.0.8',
  ]);
});

void test('F: attachments that GC keeps', () => {
  const entry = { containerID: 'c1', ifname: 'eth0', more: true };
  const kept = [{ containerId: 'c1', ifname: 'eth0' }];
  assert.deepEqual(parseValidAttachments({ 'cni.dev/valid-attachments': [entry] }), kept);
  assert.deepEqual(
    parseValidAttachments({ 'cni.dev/valid-attachments': [entry], 'cni.dev/attachments': [] }),
    kept,
  );
  assert.deepEqual(parseValidAttachments({ 'cni.dev/attachments': [entry] }), kept);
});

void test('F: an empty list, or the null of a runtime in Go, keeps nothing; no list at all is something else', () => {
  assert.deepEqual(parseValidAttachments({ 'cni.dev/valid-attachments': [] }), []);
  assert.deepEqual(parseValidAttachments({ 'cni.dev/valid-attachments': null }), []);
  assert.equal(parseValidAttachments({}), undefined);
});

void test('F: nothing is released on a list that cannot be read', () => {
  for (const item of [
    null,
    'c1',
    {},
    { containerID: 'c1' },
    { ifname: 'eth0' },
    { containerID: 1, ifname: 'eth0' },
  ])
    assert.throws(() => parseValidAttachments({ 'cni.dev/valid-attachments': [item] }), { code: 7 });
  assert.throws(() => parseValidAttachments({ 'cni.dev/valid-attachments': {} }), { code: 7 });
});
