/** The cluster DNS of the lab: which names there are, what is answered, over UDP and TCP; and what pods ask by. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { after, test } from 'node:test';
import { decode, encode, type Packet, type RecordType, streamDecode, streamEncode } from 'dns-packet';
import { setField } from '../../lab/api/validation/owner.ts';
import { answerTo } from '../../lab/dns/answer.ts';
import { DNS_SERVICE_KIND, DNS_SLICE_KIND, type DnsService, type DnsSlice } from '../../lab/dns/objects.ts';
import { followNames } from '../../lab/dns/serve.ts';
import { serveDns } from '../../lab/dns/server.ts';
import { makeZone, reverseName } from '../../lab/dns/zone.ts';
import { clusterFirst, formatResolver, resolverSettings } from '../../lab/kubelet/resolver.ts';
import { keepSlices } from '../../lab/slices/controller.ts';
import { parseIp } from '../../src/base/ip/ip.ts';
import { createLogger } from '../../src/base/log/logger.ts';
import { KubeClient } from '../../src/edge/kubernetes/client.ts';
import type { Trimmed } from '../../src/edge/kubernetes/object.ts';
import { until } from '../until.ts';
import { podManifest, serveApi } from './api/fixture.ts';

const META = { namespace: 'shop', uid: 'u', resourceVersion: '1' };
const objectOf = <T>(trimmed: Trimmed<T>): T => {
  if ('object' in trimmed) return trimmed.object;
  throw new Error(trimmed.problem);
};
const service = (name: string, spec: object): DnsService =>
  objectOf(DNS_SERVICE_KIND.trim({ metadata: { ...META, name }, spec }));
const slice = (name: string, fields: object): DnsSlice =>
  objectOf(
    DNS_SLICE_KIND.trim({
      metadata: { ...META, name: `${name}-1`, labels: { 'kubernetes.io/service-name': name } },
      ...fields,
    }),
  );

const http = { name: 'http', protocol: 'TCP', port: 80 };
const many = Array.from({ length: 40 }, (_, index) => ({ addresses: [`10.244.2.${index + 1}`] }));
const ZONE = makeZone(
  [
    service('web', { clusterIP: '10.96.0.5', clusterIPs: ['10.96.0.5', 'fd00:10:96::5'], ports: [http] }),
    service('db', { clusterIP: 'None', ports: [{ ...http, name: 'sql' }] }),
    service('far', { type: 'ExternalName', externalName: 'example.org.' }),
    service('many', { clusterIP: 'None', ports: [http] }),
  ],
  [
    slice('db', {
      ports: [{ name: 'sql', protocol: 'TCP', port: 5432 }],
      endpoints: [
        { addresses: ['10.244.0.2'], hostname: 'db-0' },
        { addresses: ['10.244.1.2'], conditions: { ready: true } },
        { addresses: ['10.244.1.3'], conditions: { ready: false } },
      ],
    }),
    slice('many', { ports: [], endpoints: many }),
  ],
);

function ask(name: string, type: string): Packet {
  return answerTo(ZONE, { id: 7, type: 'query', questions: [{ name, type: type as RecordType }] });
}

/** As `dig +short` would tell it, after what the answer as a whole says. */
function short(name: string, type: string): string {
  const reply = ask(name, type);
  const decoded = decode(encode(reply)) as unknown as Packet & { rcode: string };
  const data = (decoded.answers ?? []).map((record) => {
    const value = (record as { data: unknown }).data;
    if (record.type === 'SRV') return `${record.data.port} ${record.data.target}`;
    return record.type === 'TXT' ? String(record.data) : String(value);
  });
  return [decoded.rcode, ...data].join(' ');
}

test('names of services, their ports and their addresses', () => {
  const svc = 'svc.cluster.local';
  const cases: [string, string, string][] = [
    [`web.shop.${svc}`, 'A', 'NOERROR 10.96.0.5'],
    [`WEB.shop.${svc}`, 'AAAA', 'NOERROR fd00:10:96::5'],
    [`_http._tcp.web.shop.${svc}`, 'SRV', `NOERROR 80 web.shop.${svc}`],
    [`_http._udp.web.shop.${svc}`, 'SRV', 'NXDOMAIN'],
    [reverseName(parseIp('10.96.0.5')), 'PTR', `NOERROR web.shop.${svc}`],
    [reverseName(parseIp('fd00:10:96::5')), 'PTR', `NOERROR web.shop.${svc}`],
    [`db.shop.${svc}`, 'A', 'NOERROR 10.244.0.2 10.244.1.2'],
    [`db.shop.${svc}`, 'AAAA', 'NOERROR'],
    [`db-0.db.shop.${svc}`, 'A', 'NOERROR 10.244.0.2'],
    [`10-244-1-2.db.shop.${svc}`, 'A', 'NOERROR 10.244.1.2'],
    [`_sql._tcp.db.shop.${svc}`, 'SRV', `NOERROR 5432 db-0.db.shop.${svc} 5432 10-244-1-2.db.shop.${svc}`],
    [reverseName(parseIp('10.244.0.2')), 'PTR', `NOERROR db-0.db.shop.${svc}`],
    [`far.shop.${svc}`, 'A', 'NOERROR example.org'],
    ['10-244-0-9.shop.pod.cluster.local', 'A', 'NOERROR 10.244.0.9'],
    ['fd00--9.shop.pod.cluster.local', 'AAAA', 'NOERROR fd00::9'],
    ['dns-version.cluster.local', 'TXT', 'NOERROR 1.1.0'],
    [`shop.${svc}`, 'A', 'NOERROR'],
    [`none.shop.${svc}`, 'A', 'NXDOMAIN'],
    [`web.${svc}`, 'A', 'NXDOMAIN'],
    [reverseName(parseIp('10.96.0.6')), 'PTR', 'NXDOMAIN'],
    ['example.org', 'A', 'REFUSED'],
  ];
  for (const [name, type, expected] of cases) assert.equal(short(name, type), expected, `${type} ${name}`);
});

test('an answer has what its question had, addresses of targets, and how long to remember that there is nothing', () => {
  const reply = ask('_sql._tcp.db.shop.svc.cluster.local', 'SRV');
  assert.deepEqual(
    reply.additionals?.map((record) => (record as { data: unknown }).data),
    ['10.244.0.2', '10.244.1.2'],
  );
  assert.equal(ask('WeB.shop.svc.cluster.local', 'A').answers![0]!.name, 'WeB.shop.svc.cluster.local');
  assert.equal(ask('none.shop.svc.cluster.local', 'A').authorities![0]!.type, 'SOA');
  const status: Packet = { id: 1, type: 'query', flags: 2 << 11, questions: [{ name: 'a', type: 'A' }] };
  assert.equal(answerTo(ZONE, status).flags! & 15, 4);
  assert.equal(answerTo(ZONE, { id: 1, type: 'query', questions: [] }).flags! & 15, 1);
});

test('over UDP what is too long is cut, and comes whole over TCP; what is no question gets no answer', async () => {
  const server = await serveDns((query) => answerTo(ZONE, query), 0, '127.0.0.1');
  after(() => server.close());
  const query = (additionals?: Packet['additionals']): Packet => ({
    id: 9,
    type: 'query',
    flags: 1 << 8,
    questions: [{ name: 'many.shop.svc.cluster.local', type: 'A' }],
    ...(additionals === undefined ? {} : { additionals }),
  });
  const overUdp = (packet: Packet) =>
    new Promise<Packet & { flag_tc: boolean }>((resolve) => {
      const socket = createSocket('udp4');
      socket.on('message', (message) => {
        socket.close();
        resolve(decode(message));
      });
      // Answered, if anything were, before the question that is one.
      socket.send(Buffer.from('no question'), server.port, '127.0.0.1');
      socket.send(encode({ ...packet, type: 'response' }), server.port, '127.0.0.1');
      socket.send(encode(packet), server.port, '127.0.0.1');
    });
  const cut = await overUdp(query());
  assert.deepEqual([cut.id, cut.flag_tc, cut.answers?.length], [9, true, 0]);
  const opt = { name: '.', type: 'OPT', udpPayloadSize: 4096, flags: 0, options: [] } as unknown as Packet;
  const large = await overUdp(query([opt] as unknown as Packet['additionals']));
  assert.deepEqual([large.flag_tc, large.answers?.length], [false, 40]);
  const replies = await new Promise<Packet>((resolve) => {
    const socket = connect(server.port, '127.0.0.1');
    let read = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      read = Buffer.concat([read, chunk]);
      if (read.length < 2 || read.length < 2 + read.readUInt16BE(0)) return;
      socket.destroy();
      resolve(streamDecode(read));
    });
    const bytes = streamEncode(query());
    socket.write(bytes.subarray(0, 5));
    socket.write(bytes.subarray(5));
  });
  assert.equal(replies.answers?.length, 40);
});

test('what a pod asks follows from its namespace, its policy and what it asks for itself', () => {
  const servers = ['10.96.0.10', 'fd00:10:96::a'];
  assert.equal(
    formatResolver(clusterFirst('shop', servers)),
    'search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\nnameserver fd00:10:96::a\noptions ndots:5\n',
  );
  const pod = (spec: object) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...META, name: 'p', creationTimestamp: '' },
    spec,
  });
  assert.equal(resolverSettings(pod({ dnsPolicy: 'Default' }), servers), undefined);
  const dnsConfig = {
    nameservers: ['192.0.2.1'],
    searches: ['corp'],
    options: [{ name: 'ndots', value: '2' }, { name: 'edns0' }],
  };
  assert.equal(
    formatResolver(resolverSettings(pod({ dnsPolicy: 'None', dnsConfig }), servers)!),
    'search corp\nnameserver 192.0.2.1\noptions ndots:2 edns0\n',
  );
  const both = resolverSettings(pod({ dnsPolicy: 'ClusterFirst', dnsConfig }), servers)!;
  assert.deepEqual(both.options, ['ndots:2', 'edns0']);
  assert.deepEqual(both.nameservers, [...servers, '192.0.2.1']);
});

test('names follow the API: services and their endpoints come and go', async () => {
  const { call, url, api } = await serveApi();
  using client = new KubeClient({ server: new URL(url), origin: 'test' });
  using names = await followNames(client);
  using controller = keepSlices(api, createLogger({ level: 'error', format: 'text' }));
  void controller;
  const found = (name: string, type: RecordType) =>
    String(
      names
        .answer({ id: 1, type: 'query', questions: [{ name, type }] })
        .answers?.map((record) => (record as { data: unknown }).data),
    );
  const services = '/api/v1/namespaces/default/services';
  const body = (name: string, spec: object) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec,
  });
  await call('POST', services, body('web', { selector: { app: 'web' }, ports: [{ port: 80 }] }));
  await call(
    'POST',
    services,
    body('free', { clusterIP: 'None', selector: { app: 'web' }, ports: [{ port: 80 }] }),
  );
  await until('the service has a name', () => found('web.default.svc.cluster.local', 'A') === '10.96.0.1');
  const made = await call(
    'POST',
    '/api/v1/namespaces/default/pods',
    podManifest('a', { labels: { app: 'web' } }),
  );
  setField(api, made.body, ['status'], {
    phase: 'Running',
    podIPs: [{ ip: '10.244.0.2' }],
    conditions: [{ type: 'Ready', status: 'True' }],
  });
  await until('the pod is found', () => found('free.default.svc.cluster.local', 'A') === '10.244.0.2');
  await call('DELETE', `${services}/web`);
  await until('the name is gone', () => found('web.default.svc.cluster.local', 'A') === 'undefined');
});
