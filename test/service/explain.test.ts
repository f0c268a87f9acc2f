/** A service in words. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainService, formatService } from '../../src/plan/service/explain.ts';
import type { SliceObject } from '../../src/plan/service/objects.ts';
import { parseService } from '../../src/plan/service/parse-service.ts';
import { parseSlice } from '../../src/plan/service/parse-slice.ts';
import { cluster, service, slice } from './cluster.ts';
import type { RawService, RawSlice } from './oracle.ts';
import { NODE } from './worlds.ts';

function explain(raw: RawService, slices: RawSlice[]): string {
  const [planned] = cluster([raw], slices).table.services;
  const parsed = parseService(raw);
  assert.ok('service' in parsed);
  const read = slices.flatMap((each): SliceObject[] => {
    const one = parseSlice(each);
    return 'slice' in one && one.slice !== undefined ? [one.slice] : [];
  });
  return formatService(explainService(parsed.service, read, planned, { ...NODE, ips: [] }));
}

test('each address says where it leads, and each endpoint whether it is used, or why not', () => {
  const raw = service(
    'web',
    {
      type: 'LoadBalancer',
      clusterIP: '172.30.0.1',
      ports: [{ name: 'p', port: 80, nodePort: 30_080 }],
      externalTrafficPolicy: 'Local',
      loadBalancerSourceRanges: ['198.51.100.0/24'],
      sessionAffinity: 'ClientIP',
    },
    { loadBalancer: { ingress: [{ ip: '203.0.113.1' }] } },
  );
  const endpoints = [
    '10.244.1.2@node-1 zone-a',
    '10.244.1.3@node-1 zone-b',
    '10.244.2.2@node-2 zone-b',
    '10.244.2.3@node-2 ending',
    '10.244.2.4@node-2 ending !serving',
    '10.244.2.5@node-2 !ready',
  ];
  assert.equal(
    explain(raw, [slice('web', endpoints), slice('web', ['fd00:10:244:1::2@node-1'])]),
    `default/web
  p 80/TCP over IPv4
    172.30.0.1:80                   to endpoints of all nodes
    203.0.113.1:80 (load balancer)  to endpoints of all nodes from here, to endpoints of this node from outside; only from 198.51.100.0/24
    node port 30080                 to endpoints of all nodes from here, to endpoints of this node from outside
    a client keeps its endpoint for 10800 s
    → 10.244.1.2:8080  this node  used
    → 10.244.1.3:8080  this node  used (by policy Local alone)
    → 10.244.2.2:8080  elsewhere  hinted to zones zone-b; this is zone-a
    → 10.244.2.3:8080  elsewhere  ends; others are ready
    → 10.244.2.4:8080  elsewhere  ends, and serves no more
    → 10.244.2.5:8080  elsewhere  not ready
  problem: slice web-0fd00102441 has 1 endpoints of IPv6, of which service web has no address
`.replace('web-0fd00102441 ', `${slice('web', ['fd00:10:244:1::2@node-1']).metadata.name} `),
  );
});

test('one without endpoints, one whose policy finds none here, one that is not served', () => {
  const spec = { clusterIP: '172.30.0.1', internalTrafficPolicy: 'Local' };
  assert.match(
    explain(service('a', spec), []),
    /172\.30\.0\.1:80 {2}refused: it has no endpoint that is ready\n {4}no endpoints/,
  );
  assert.match(
    explain(service('a', spec), [slice('a', ['10.244.2.2@node-2'])]),
    /dropped: none of its endpoints is on this node.*\n.*elsewhere {2}not on this node, as policy Local asks/,
  );
  assert.match(
    explain(service('a', { ...spec, clusterIP: 'None' }), []),
    /^default\/a: not served: it is headless/,
  );
});
