/** Random services on real packets: nftables does what the evaluator and the naive reading of the documentation say. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { type ProbeOutcome, probe } from '../../lab/prober.ts';
import { parseIp } from '../../src/base/ip/ip.ts';
import { runToEnd } from '../../src/base/run/slices.ts';
import { createServiceRenderer } from '../../src/datapath/nftables/service/render.ts';
import { loadServices, updateServices } from '../../src/datapath/nftables/service/write.ts';
import { createDecider } from '../../src/plan/service/decide.ts';
import type { ServiceProtocol } from '../../src/plan/service/objects.ts';
import { createServicePlanner, type ServicesInput } from '../../src/plan/service/plan.ts';
import { connectionsOf } from '../conntrack/connections.ts';
import { casesOf, inBatches } from '../policy/seeds.ts';
import { openNetwork } from './network.ts';
import { type OracleFate, type OracleFlow, type OracleWorld, oracle } from './oracle.ts';
import { fateOf, flowsOf, inputOf, LOCAL_PODS, NODE, REMOTE_PODS, worlds } from './worlds.ts';

const CASES = casesOf('FAIRLEAD_SERVICE_KERNEL_CASES', 25);
/** Flows of one case: each of them a connection. */
const FLOWS = 120;
const TABLE = 'fairlead-services-a';

const network = await openNetwork();
const { tables, conntrack } = network;
after(() => network[Symbol.dispose]());
const planner = createServicePlanner();
const plan = (input: ServicesInput) => runToEnd(planner(input));
const renderer = createServiceRenderer({
  families: [4, 6],
  nodeIps: NODE.ips.map((ip) => parseIp(ip)),
  nodePortRange: { first: 30_000, last: 32_767 },
});
let loaded = false;
/** That TCP is refused takes a second (the first refusal meets a socket that is in use): every fourth world asks for it. */
let round = 0;

/** The first world is loaded, all others are changes: the kernel has gone through every transition between two of them. */
async function put(world: OracleWorld): Promise<ReturnType<typeof plan>> {
  const table = plan(inputOf(world));
  const change = runToEnd(renderer.render({ table }));
  if (loaded) await tables.update(TABLE, updateServices(change, TABLE));
  else await tables.load(TABLE, loadServices(renderer, change, TABLE));
  loaded = true;
  change.done();
  return table;
}

type Asked = OracleFlow & { fate: OracleFate };

/** What must not be answered is given less time: that it is not is all that can be seen. */
async function fire(flows: readonly Asked[]): Promise<(ProbeOutcome | undefined)[]> {
  const outcomes: (ProbeOutcome | undefined)[] = flows.map(() => undefined);
  const bySource = Map.groupBy(flows.keys(), (index) => flows[index]!.source);
  await Promise.all(
    [...bySource].map(async ([source, indexes]) => {
      const targets = indexes.map((index) => {
        const { destination, protocol, port, fate } = flows[index]!;
        const timeoutMs = fate === 'drop' ? 200 : 10_000;
        return {
          id: index,
          protocol: protocol === 'TCP' ? 'tcp' : 'udp',
          address: destination,
          port,
          size: 32,
          timeoutMs,
        } as const;
      });
      for (const outcome of await probe(network.hostOf(source).name, targets))
        outcomes[Number(outcome.id)] = outcome;
    }),
  );
  return outcomes;
}

const ALL = [...LOCAL_PODS, ...REMOTE_PODS];

/** As far as can be seen from outside: who answered, and whom it saw. */
function seen(outcome: ProbeOutcome | undefined): string {
  if (outcome === undefined) return 'no outcome';
  if (outcome.ok) return `${outcome.answer?.name} saw ${outcome.answer?.sawSource}`;
  return /refused/i.test(outcome.error ?? '')
    ? 'reject'
    : /time|answer|not permitted/i.test(outcome.error ?? '')
      ? 'drop'
      : outcome.error!;
}

function expected({ fate, source, destination }: Asked): string[] {
  if (typeof fate === 'string') return [fate];
  const family = destination.includes(':') ? 1 : 0;
  return [...fate.endpoints].map(([endpoint, sees]) => {
    const [ip = ''] = endpoint.split(' ');
    const [name] = ALL.find((ips) => ips[family] === ip)!;
    return `${name} saw ${sees === 'client' ? source : NODE.ips[family]}`;
  });
}

/** Spread over the whole list, and always the same for one world. */
function some<T>(items: readonly T[], count: number): T[] {
  const step = Math.max(1, items.length / count);
  return Array.from(
    { length: Math.min(count, items.length) },
    (_, index) => items[Math.floor(index * step)]!,
  );
}

async function check(world: OracleWorld): Promise<void> {
  const table = await put(world);
  const decide = createDecider(table);
  await conntrack.cut(await connectionsOf(conntrack));
  const all = flowsOf(world).map((flow): Asked => ({ ...flow, fate: oracle(world, flow) }));
  const slow = round++ % 4 !== 0;
  const asked = ({ fate, protocol }: Asked) =>
    fate !== 'not a service' && !(slow && fate === 'reject' && protocol === 'TCP');
  const flows = some(all.filter(asked), FLOWS);
  for (const { fate, ...flow } of flows) {
    const decision = decide({
      ...flow,
      source: parseIp(flow.source),
      destination: parseIp(flow.destination),
      protocol: flow.protocol as ServiceProtocol,
    });
    assert.deepEqual(fateOf(decision), fate);
  }
  const outcomes = await fire(flows);
  const wrong = flows.flatMap((flow, index) => {
    const [was, wanted] = [seen(outcomes[index]), expected(flow)];
    const { fate: _, ...rest } = flow;
    return wanted.includes(was) ? [] : [`${JSON.stringify(rest)}: ${was}, and not ${wanted.join(' or ')}`];
  });
  assert.deepEqual(wrong.slice(0, 5), []);
  await checkTargets(flows);
}

/** Who answered has the address; that it is the port as well is what the kernel's table of connections says. */
async function checkTargets(flows: readonly Asked[]): Promise<void> {
  const fates = new Map(
    flows.map(({ source, destination, protocol, port, fate }) => [
      `${source} ${destination} ${protocol} ${port}`,
      fate,
    ]),
  );
  for (const connection of await connectionsOf(conntrack)) {
    const { source, destination, protocol, destinationPort, target, targetPort } = connection;
    const fate = fates.get(`${source} ${destination} ${protocol.toUpperCase()} ${destinationPort}`);
    if (fate === undefined || typeof fate === 'string') continue;
    assert.ok(
      fate.endpoints.has(`${target} ${targetPort}`),
      `${destination} led to ${target} port ${targetPort}`,
    );
  }
}

test(`${CASES} random clusters on real packets: nftables, the evaluator and the documentation agree`, (t) =>
  inBatches(t, CASES, (parameters) =>
    fc.assert(fc.asyncProperty(worlds(), check), { ...parameters, endOnFailure: true }),
  ));
