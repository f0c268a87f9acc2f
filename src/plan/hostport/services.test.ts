import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCidr } from '../../base/ip/cidr.ts';
import { parseIp } from '../../base/ip/ip.ts';
import { hostPortChains } from './plan.ts';
import { serviceAddresses } from './services.ts';

const LINKS = [
  { index: 1, name: 'lo' },
  { index: 2, name: 'eth0' },
  { index: 3, name: 'kube-ipvs0' },
];

test('addresses of services: what is configured, and what kube-proxy holds beyond it', () => {
  const at = (linkIndex: number, ip: string) => ({ linkIndex, ip: parseIp(ip) });
  assert.deepEqual(
    serviceAddresses({
      serviceNetwork: [parseCidr('10.96.0.0/12'), parseCidr('10.96.0.0/16'), parseCidr('fd00:96::/112')],
      links: LINKS,
      addresses: [
        at(2, '192.168.1.2'),
        at(3, '10.96.0.1'),
        at(3, '203.0.113.7'),
        at(3, '203.0.113.7'),
        // The cluster knows the node by it.
        at(3, '192.168.1.2'),
      ],
      nodeIps: [parseIp('192.168.1.2')],
    }),
    ['10.96.0.0/12', 'fd00:96::/112', '203.0.113.7/32'],
  );
});

test('an address of a service is left alone before any port is looked up, one that hostIP names too', () => {
  const [first, second] = hostPortChains({ families: [4, 6] })[0]!.rules;
  assert.deepEqual([first?.match, second?.match.slice(0, 4)], ['ip daddr @services4 return', 'dnat']);
});
