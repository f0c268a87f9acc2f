/** What the kernel does with services beyond the first packet's way: affinity, changes under way, tracking, stray packets. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { type ProbeOutcome, probe, type Target } from '../../lab/prober.ts';
import { parseIp } from '../../src/base/ip/ip.ts';
import { runToEnd } from '../../src/base/run/slices.ts';
import type { ServiceTableName } from '../../src/datapath/nftables/service/objects.ts';
import { createServiceRenderer, type ServiceRenderer } from '../../src/datapath/nftables/service/render.ts';
import { loadServices, updateServices } from '../../src/datapath/nftables/service/write.ts';
import { type Lingering, linger, stillUsed } from '../../src/plan/service/linger.ts';
import type { ServiceTable } from '../../src/plan/service/table.ts';
import { connectionsOf } from '../conntrack/connections.ts';
import type { TestNamespace } from '../namespace.ts';
import { until } from '../until.ts';
import { cluster, service, slice } from './cluster.ts';
import { openNetwork } from './network.ts';
import type { RawService, RawSlice } from './oracle.ts';
import { LOCAL_PODS, NODE, OUTSIDER, REMOTE_PODS } from './worlds.ts';

const network = await openNetwork();
const { tables, conntrack, node, hostOf } = network;
after(() => network[Symbol.dispose]());

const OPTIONS = {
  families: [4, 6] as const,
  nodeIps: NODE.ips.map((ip) => parseIp(ip)),
  nodePortRange: { first: 30_000, last: 32_767 },
};
let renderer: ServiceRenderer = createServiceRenderer(OPTIONS);
let loaded: ServiceTableName | undefined;
let last: ServiceTable | undefined;
let lingering: readonly Lingering[] = [];

async function put(table: ServiceTable): Promise<void> {
  lingering = linger(lingering, last, table);
  last = table;
  const change = runToEnd(renderer.render({ table, lingering }));
  if (loaded === undefined) await load(table, 'fairlead-services-a');
  else {
    await tables.update(loaded, updateServices(change, loaded));
    change.done();
  }
}

/** As an agent that starts anew. */
async function load(table: ServiceTable, name: ServiceTableName): Promise<void> {
  renderer = createServiceRenderer(OPTIONS);
  const change = runToEnd(renderer.render({ table, lingering }));
  await tables.load(name, loadServices(renderer, change, name));
  change.done();
  loaded = name;
}

const services = (raw: RawService[], slices: RawSlice[]) => put(cluster(raw, slices).table);

/** A port of a client that is used again would belong to a connection of before. */
const forget = async () => conntrack.cut(await connectionsOf(conntrack));

type Asked = [source: string, protocol: Target['protocol'], address: string, port: number];

async function ask(questions: readonly Asked[], timeoutMs = 10_000): Promise<ProbeOutcome[]> {
  const outcomes: ProbeOutcome[] = [];
  const bySource = Map.groupBy(questions.entries(), ([, [source]]) => source);
  await Promise.all(
    [...bySource].map(async ([source, own]) => {
      const targets = own.map(([id, [, protocol, address, port]]) => ({
        id,
        protocol,
        address,
        port,
        size: 32,
        timeoutMs,
      }));
      for (const outcome of await probe(hostOf(source).name, targets)) outcomes[Number(outcome.id)] = outcome;
    }),
  );
  return outcomes;
}

const names = (outcomes: readonly ProbeOutcome[]) =>
  outcomes.map(({ answer, error }) => answer?.name ?? error);
const times = <T>(count: number, item: T): T[] => Array.from({ length: count }, () => item);

const [POD, POD6] = LOCAL_PODS[0];
const [OUT, OUT6] = OUTSIDER;
const ENDPOINTS = [LOCAL_PODS[1], LOCAL_PODS[2], ...REMOTE_PODS];
const both = (of: string, which = ENDPOINTS, port = 8080) => [
  slice(
    of,
    which.map(([ip]) => `${ip}@node-1`),
    ports(port),
  ),
  slice(
    of,
    which.map(([, ip]) => `${ip}@node-1`),
    ports(port),
  ),
];
const ports = (port: number) => [
  { name: 'p', port },
  { name: 'u', protocol: 'UDP', port },
];
const dual = (name: string, n: number, spec: Partial<RawService['spec']> = {}) =>
  service(name, {
    type: 'NodePort',
    clusterIP: `172.30.0.${n}`,
    clusterIPs: [`172.30.0.${n}`, `fd00:10:96::${n}`],
    ipFamilies: ['IPv4', 'IPv6'],
    ports: [
      { name: 'p', port: 80, nodePort: 30_000 + n },
      { name: 'u', protocol: 'UDP', port: 80, nodePort: 30_000 + n },
    ],
    ...spec,
  });

test('endpoints are drawn evenly', async () => {
  await services([dual('s', 1)], both('s'));
  for (const [source, ip, protocol] of [
    [POD, '172.30.0.1', 'tcp'],
    [POD6, 'fd00:10:96::1', 'udp'],
  ] as const) {
    const tally = Map.groupBy(names(await ask(times(400, [source, protocol, ip, 80]))), (name) => name);
    assert.equal(tally.size, 4);
    // Five standard deviations of 400 draws of one in four.
    for (const [name, { length }] of tally) assert.ok(Math.abs(length - 100) < 44, `${name}: ${length}`);
  }
});

test('a client keeps its endpoint by whatever address it comes, until it is gone; another port is another choice', async () => {
  const sticky = {
    sessionAffinity: 'ClientIP',
    sessionAffinityConfig: { clientIP: { timeoutSeconds: 3600 } },
  };
  await services([dual('s', 1, sticky)], both('s'));
  for (const [source, ips] of [
    [POD, ['172.30.0.1', NODE.ips[0]!]],
    [POD6, ['fd00:10:96::1', NODE.ips[1]!]],
    [OUT, ['172.30.0.1', NODE.ips[0]!]],
    [OUT6, ['fd00:10:96::1', NODE.ips[1]!]],
  ] as const) {
    for (const protocol of ['tcp', 'udp'] as const) {
      const questions = ips.flatMap((ip, index) =>
        times<Asked>(10, [source, protocol, ip, index === 0 ? 80 : 30_001]),
      );
      const visits = async () => {
        await forget();
        return ask(questions);
      };
      const kept = new Set(names(await visits()));
      assert.equal(kept.size, 1, `${source} ${protocol}: ${[...kept].join()}`);
      const [name] = kept;
      const left = ENDPOINTS.filter(([ip]) => ip !== name);
      await services([dual('s', 1, sticky)], both('s', left));
      // One at first: of several that find it gone at one moment, each may choose.
      await forget();
      await ask([[source, protocol, ips[0], 80]]);
      const next = new Set(names(await visits()));
      assert.equal(next.size, 1, `${source} ${protocol}, ${name} is gone: ${[...next].join()}`);
      assert.ok(
        left.some(([ip]) => next.has(ip)),
        `${name} is gone: ${[...next].join()}`,
      );
      // Who comes back has not its clients back: they have another one by now.
      await services([dual('s', 1, sticky)], both('s'));
      assert.deepEqual(new Set(names(await visits())), next);
    }
  }
  await services([dual('s', 1)], both('s'));
  assert.ok(
    new Set(names(await ask(times(40, [POD, 'tcp', '172.30.0.1', 80])))).size > 1,
    'affinity is switched off',
  );
});

test('an affinity ends with its time', async () => {
  await services(
    [
      dual('s', 1, {
        sessionAffinity: 'ClientIP',
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 1 } },
      }),
    ],
    both('s'),
  );
  const seen = new Set<string | undefined>();
  for (let round = 0; round < 30 && seen.size < 2; round++) {
    for (const name of names(await ask([[POD, 'tcp', '172.30.0.1', 80]]))) seen.add(name);
    await new Promise((resolve) => setTimeout(resolve, 1100));
  }
  assert.ok(seen.size > 1);
});

test('while lists change, each connection is answered by an endpoint of before or of after: none is refused or lost', async () => {
  await services([dual('s', 1)], both('s'));
  const lists = [[0], [0, 1, 2, 3], [3, 2], [1], [2, 0, 1], [0, 3]].map((which) =>
    which.map((index) => ENDPOINTS[index]!),
  );
  const progress = { ended: false, changes: 0 };
  const changing = (async () => {
    while (!progress.ended)
      await services([dual('s', 1)], both('s', lists[progress.changes++ % lists.length]));
  })();
  const asked = [POD, OUT].flatMap((source): Asked[] => [
    ...times<Asked>(200, [source, 'tcp', '172.30.0.1', 80]),
    ...times<Asked>(200, [source, 'udp', NODE.ips[0]!, 30_001]),
  ]);
  const failed: (string | undefined)[] = [];
  while (progress.changes < 30) for (const { ok, error } of await ask(asked)) if (!ok) failed.push(error);
  progress.ended = true;
  await changing;
  assert.deepEqual(failed, []);
});

test('a connection goes on with an endpoint that has left; it is let go of when the connection has ended', async () => {
  await services([dual('s', 1)], both('s', [LOCAL_PODS[1]]));
  const asked = ask(times<Asked>(200, [POD, 'tcp', '172.30.0.1', 80]));
  await asked;
  await services([dual('s', 1)], both('s', [LOCAL_PODS[2]]));
  const connections = await connectionsOf(conntrack);
  const used = stillUsed(lingering, connections);
  assert.ok(
    used.some(({ ip, port }) => ip === LOCAL_PODS[1][0] && port === 8080),
    JSON.stringify(lingering),
  );
  await conntrack.cut(connections);
  assert.deepEqual(stillUsed(lingering, await connectionsOf(conntrack)), []);
});

test('a table takes the other’s place while connections are made', async () => {
  const { table } = cluster([dual('s', 1)], both('s'));
  await put(table);
  const asked = ask(times(1000, [POD, 'tcp', '172.30.0.1', 80]));
  for (const name of ['fairlead-services-b', 'fairlead-services-a', 'fairlead-services-b'] as const)
    await load(table, name);
  assert.deepEqual(
    (await asked).filter(({ ok }) => !ok),
    [],
  );
  assert.doesNotMatch(node.exec('nft', 'list', 'tables'), /services-a/);
});

test('ping of a service address is refused, of one that no service has is not answered; neither is routed', async () => {
  await services([dual('s', 1)], both('s'));
  node.exec(
    'nft',
    'add table inet out; add chain inet out post { type filter hook postrouting priority 200 ; }; add rule inet out post ip daddr 172.30.0.0/16 counter; add rule inet out post ip6 daddr fd00:10:96::/112 counter',
  );
  const outcomes = await ask([
    [POD, 'icmp', '172.30.0.1', 0],
    [POD, 'tcp', '172.30.0.1', 81],
    [POD6, 'tcp', 'fd00:10:96::1', 81],
  ]);
  assert.deepEqual(
    outcomes.map(({ ok }) => ok),
    [false, false, false],
  );
  for (const { error } of outcomes.slice(1)) assert.match(error ?? '', /refused/i);
  await ask(
    [
      [POD, 'tcp', '172.30.0.99', 80],
      [POD6, 'udp', 'fd00:10:96::99', 80],
      [POD, 'icmp', '172.30.0.99', 0],
    ],
    300,
  );
  const counts = node.exec('nft', 'list', 'table', 'inet', 'out');
  node.exec('nft', 'delete table inet out');
  assert.equal([...counts.matchAll(/packets 0 bytes 0/g)].length, 2, counts);
});

test('who stands in for a client uses ports beside those of services, or its answers would be taken for questions', async () => {
  await services([dual('s', 1)], both('s'));
  const outcomes = await ask(
    [OUT, OUT6].flatMap((source, index) => times<Asked>(300, [source, 'tcp', NODE.ips[index]!, 30_001])),
  );
  assert.ok(outcomes.every(({ answer }) => NODE.ips.includes(answer?.sawSource ?? '')));
  const sources = outcomes.map(({ answer }) => Number(Reflect.get(answer ?? {}, 'sawPort')));
  assert.deepEqual(
    sources.filter((port) => !(port > 32_767)),
    [],
  );
});

test('SCTP is led and refused as the others are', async () => {
  const sctp = service('s', {
    clusterIP: '172.30.0.1',
    ports: [
      { name: 'p', port: 80, protocol: 'SCTP' },
      { name: 'none', port: 81, protocol: 'SCTP' },
    ],
  });
  await services(
    [sctp],
    [slice('s', [`${LOCAL_PODS[1][0]}@node-1`], [{ name: 'p', port: 8080, protocol: 'SCTP' }])],
  );
  // One by one: raw sockets to one address hear of each other's errors.
  const [served] = await ask([[POD, 'sctp', '172.30.0.1', 80]], 3000);
  const [refused] = await ask([[POD, 'sctp', '172.30.0.1', 81]], 3000);
  assert.equal(served?.ok, true, served?.error);
  assert.equal(refused?.ok, false);
});

test('only what goes to endpoints of services is tracked between pods', async () => {
  lingering = [];
  await services([], []);
  lingering = [];
  await services([dual('s', 1)], both('s', [LOCAL_PODS[1]], 8443));
  await forget();
  const [to, to6] = LOCAL_PODS[1];
  await ask([
    [POD, 'tcp', to, 8080],
    [POD6, 'udp', to6, 8080],
    [POD, 'udp', LOCAL_PODS[2][0], 8443],
  ]);
  const between = async () =>
    (await connectionsOf(conntrack))
      .filter(({ protocol }) => protocol !== 'other')
      .map(({ destination, destinationPort }) => `${destination} ${destinationPort}`)
      .toSorted();
  assert.deepEqual(await between(), []);
  const outcomes = await ask([
    [POD, 'tcp', '172.30.0.1', 80],
    [POD, 'tcp', to, 8443],
    [POD6, 'udp', 'fd00:10:96::1', 80],
  ]);
  assert.deepEqual(
    outcomes.map(({ ok }) => ok),
    [true, true, true],
  );
  assert.deepEqual(await between(), [`${to} 8443`, '172.30.0.1 80', 'fd00:10:96::1 80'].toSorted());
});

test('an answer that belongs to no connection does not reach the client under the endpoint’s own address', async () => {
  const [endpoint] = LOCAL_PODS[1];
  await services(
    [service('s', { clusterIP: '172.30.0.1' })],
    [slice('s', [`${endpoint}@node-1`], [{ name: 'p', port: 9100 }])],
  );
  const server = start(
    hostOf(endpoint),
    `
    require('node:net').createServer((stream) => process.stdin.once('data', () => stream.write('late')))
      .listen(9100, () => console.log('ready'));`,
  );
  await once(server.stdout!, 'data');
  const client = start(
    hostOf(POD),
    `
    require('node:net').connect(80, '172.30.0.1', () => console.log('ready')).on('error', () => undefined);`,
  );
  await once(client.stdout!, 'data');
  const stray = `ip saddr ${endpoint} tcp sport 9100`;
  node.exec(
    'nft',
    `${counting('strays', 'prerouting')}; add rule inet strays c ${stray} ct state invalid counter`,
  );
  hostOf(POD).exec('nft', `${counting('seen', 'input')}; add rule inet seen c ${stray} counter`);
  // Else what is in the middle of a connection would begin one.
  node.exec('sysctl', '-qw', 'net.netfilter.nf_conntrack_tcp_loose=0');
  await forget();
  server.stdin!.write('go');
  const sent = () => Number(/packets (\d+)/.exec(node.exec('nft', 'list', 'table', 'inet', 'strays'))?.[1]);
  await until('the endpoint has sent it twice', () => sent() > 1);
  assert.match(hostOf(POD).exec('nft', 'list', 'table', 'inet', 'seen'), /counter packets 0 /);
  server.kill();
  client.kill();
});

function start(host: TestNamespace, script: string): ChildProcess {
  return spawn('nsenter', [`--net=${host.path}`, '--', process.execPath, '-e', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
}

function counting(table: string, hook: string): string {
  return `add table inet ${table}; add chain inet ${table} c { type filter hook ${hook} priority 0 ; }`;
}
