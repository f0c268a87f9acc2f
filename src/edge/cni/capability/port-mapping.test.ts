import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePortMappings } from './port-mapping.ts';

function parse(...portMappings: unknown[]): ReturnType<typeof parsePortMappings> {
  return parsePortMappings({ portMappings });
}

void test('I: portMappings of every protocol, in any case, with and without an address', () => {
  assert.deepEqual(
    parse(
      { hostPort: 8080, containerPort: 80, protocol: 'TCP', hostIP: '192.168.1.2' },
      { hostPort: 53, containerPort: 53, protocol: 'udp', hostIP: '' },
      { hostPort: 65535, containerPort: 1, protocol: 'Sctp' },
      { hostPort: 1, containerPort: 2 },
      { hostPort: 1, containerPort: 3, protocol: 'udp', hostIP: 'FD00:0::1' },
    ),
    [
      { protocol: 'tcp', hostPort: 8080, containerPort: 80, hostIp: '192.168.1.2' },
      { protocol: 'udp', hostPort: 53, containerPort: 53 },
      { protocol: 'sctp', hostPort: 65535, containerPort: 1 },
      { protocol: 'tcp', hostPort: 1, containerPort: 2 },
      { protocol: 'udp', hostPort: 1, containerPort: 3, hostIp: 'fd00::1' },
    ],
  );
  assert.deepEqual(parsePortMappings({}), []);
  assert.deepEqual(parsePortMappings({ portMappings: null }), []);
});

void test('I: ports, protocols and addresses that cannot be are refused', () => {
  const wrong = [
    { hostPort: 0, containerPort: 80 },
    { hostPort: 65536, containerPort: 80 },
    { hostPort: 80, containerPort: 0 },
    { hostPort: 80, containerPort: 65536 },
    { hostPort: -1, containerPort: 80 },
    { hostPort: '80', containerPort: 80 },
    { hostPort: 80.5, containerPort: 80 },
    { containerPort: 80 },
    { hostPort: 80 },
    { hostPort: 80, containerPort: 80, protocol: 'icmp' },
    { hostPort: 80, containerPort: 80, protocol: 6 },
    { hostPort: 80, containerPort: 80, hostIP: 'localhost' },
    { hostPort: 80, containerPort: 80, hostIP: '10.0.0.0/8' },
    'tcp:80:80',
    null,
  ];
  for (const mapping of wrong)
    assert.throws(() => parse(mapping), { code: 7, message: /^runtimeConfig\.portMappings/ });
});

void test('I: one port that leads to two places is refused; said twice it counts once', () => {
  const base = { hostPort: 80, containerPort: 8080 };
  assert.equal(parse(base, base, { ...base, protocol: 'tcp' }).length, 1);
  assert.equal(parse(base, { ...base, protocol: 'udp', containerPort: 1 }).length, 2);
  assert.equal(
    parse({ ...base, hostIP: '10.0.0.1' }, { ...base, hostIP: '10.0.0.2', containerPort: 1 }).length,
    2,
  );
  assert.equal(parse({ ...base, hostIP: '0.0.0.0' }, { ...base, hostIP: '::', containerPort: 1 }).length, 2);
  for (const other of [{}, { hostIP: '10.0.0.1' }, { hostIP: '0.0.0.0' }]) {
    assert.throws(() => parse({ ...base, hostIP: '10.0.0.1' }, { ...base, ...other, containerPort: 1 }), {
      code: 7,
      message: /leads to 8080 and to 1/,
    });
  }
});

test('I: portMappings as containerd writes them, by the names of its structure', () => {
  const HostPort = { HostPort: 8080, ContainerPort: 80, Protocol: 'tcp', HostIP: '' };
  assert.deepEqual(parsePortMappings({ portMappings: [HostPort] }), [
    { protocol: 'tcp', hostPort: 8080, containerPort: 80 },
  ]);
});
