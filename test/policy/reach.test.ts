/** Who reaches whom, and what policies would change: against the evaluator, on random clusters. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Ip, ipFamily, ipFromBigInt, ipToBigInt, parseIp } from '../../src/base/ip/ip.ts';
import { crowdsOf } from '../../src/plan/policy/answer/crowd.ts';
import { diffPolicies } from '../../src/plan/policy/answer/diff.ts';
import { crowdMatrix, formatReaches, matrixOf } from '../../src/plan/policy/answer/matrix.ts';
import { formatParty, type Party } from '../../src/plan/policy/answer/party.ts';
import { formatReach, type Reach, reachBetween } from '../../src/plan/policy/answer/reach.ts';
import { nameOf } from '../../src/plan/policy/compile/clause.ts';
import { type Compiled, compile, type PolicyInput } from '../../src/plan/policy/compile/compile.ts';
import { evaluate } from '../../src/plan/policy/compile/evaluate.ts';
import { hasNetwork } from '../../src/plan/policy/compile/population.ts';
import type { PolicyPod } from '../../src/plan/policy/parse/objects.ts';
import { inputOf, worlds } from './worlds.ts';

const CASES = Number(process.env['FAIRLEAD_POLICY_CASES'] ?? 300);
const SEED = process.env['FAIRLEAD_POLICY_SEED'];
const RUNS = { numRuns: CASES, ...(SEED === undefined ? {} : { seed: Number(SEED) }) };

/** Both sides of every edge that a port of the random policies can have. */
const EDGES = [0, 1, 79, 80, 81, 8079, 8080, 8081, 8082, 9000, 9001, 65_535];
/** Inside and outside of every range of the random policies, and no pod's. */
const OUTSIDE = (
  '10.244.0.0 10.244.0.1 10.244.0.9 10.244.0.200 10.244.7.7 203.0.113.9 8.8.8.8 192.168.1.2 192.168.1.3 ' +
  'fd00:192:168::2 fd00:10:244::1 fd00:10:244::9 2001:db8::9'
)
  .split(' ')
  .map((ip) => parseIp(ip));

function allows({ ports, others }: Reach, protocol: string, port: number): boolean {
  if (protocol === 'ICMP') return others;
  return ports.some((range) => range.protocol === protocol && range.first <= port && port <= range.last);
}

/** Each protocol at each of the ports, as the evaluator has it. */
function verdicts(compiled: Compiled, source: Ip, destination: Ip, ports = EDGES): boolean[] {
  return (['TCP', 'UDP', 'SCTP', 'ICMP'] as const).flatMap((protocol) =>
    (protocol === 'ICMP' ? [0] : ports).map(
      (port) =>
        evaluate(compiled, { source, destination, protocol, ...(protocol === 'ICMP' ? {} : { port }) })
          .allowed,
    ),
  );
}

function reached(reach: Reach, ports = EDGES): boolean[] {
  return ['TCP', 'UDP', 'SCTP', 'ICMP'].flatMap((protocol) =>
    (protocol === 'ICMP' ? [0] : ports).map((port) => allows(reach, protocol, port)),
  );
}

function* pairs(ips: readonly Ip[]): Generator<readonly [Ip, Ip]> {
  for (const source of ips)
    for (const destination of ips)
      if (ipFamily(source) === ipFamily(destination)) yield [source, destination];
}

const livePods = ({ pods }: PolicyInput) => pods.filter((pod) => hasNetwork(pod) && pod.podIPs.length > 0);

test(`${CASES} random clusters: what is reached is what the evaluator lets through, at every edge`, () => {
  fc.assert(
    fc.property(worlds(7), (world) => {
      const input = inputOf(world);
      const compiled = compile(input);
      for (const [source, destination] of pairs([
        ...input.pods.flatMap(({ podIPs }) => podIPs),
        ...OUTSIDE,
      ])) {
        const reach = reachBetween(compiled, source, destination);
        assert.deepEqual(
          reached(reach),
          verdicts(compiled, source, destination),
          `${source} → ${destination}: ${formatReach(reach)}`,
        );
      }
    }),
    RUNS,
  );
});

test('every port of every protocol, of a few random clusters', () => {
  const all = Array.from({ length: 65_536 }, (_, port) => port);
  fc.assert(
    fc.property(worlds(4), (world) => {
      const input = inputOf(world);
      const compiled = compile(input);
      const [first, second] = livePods(input);
      if (first === undefined || second === undefined) return;
      for (const [source, destination] of pairs([first.podIPs[0]!, second.podIPs[0]!])) {
        const reach = reachBetween(compiled, source, destination);
        assert.deepEqual(reached(reach, all), verdicts(compiled, source, destination, all));
      }
    }),
    { ...RUNS, numRuns: 8 },
  );
});

test(`${CASES} random clusters: pods of one crowd are alike, and both matrices say of each pair what holds`, () => {
  fc.assert(
    fc.property(worlds(7), (world) => {
      const input = inputOf(world);
      const compiled = compile(input);
      const crowds = crowdsOf(input.pods, [compiled]);
      assert.deepEqual(
        crowds.flatMap(({ pods }) => pods.map(nameOf)).toSorted(),
        livePods(input).map(nameOf).toSorted(),
      );
      const reachOf = (from: PolicyPod, to: PolicyPod) =>
        from.podIPs.map((ip, index) => formatReach(reachBetween(compiled, ip, to.podIPs[index]!))).join();
      for (const from of crowds) {
        for (const to of crowds) {
          const texts = from.pods.flatMap((a) => to.pods.flatMap((b) => (a === b ? [] : [reachOf(a, b)])));
          assert.ok(
            new Set(texts).size <= 1,
            `${nameOf(from.pods[0]!)} → ${nameOf(to.pods[0]!)}: ${texts.join(' and ')}`,
          );
        }
      }
      const count = livePods(input).length;
      assert.equal(
        crowdMatrix(input).reduce((sum, line) => sum + line.pairs, 0),
        count * (count - 1),
      );
    }),
    RUNS,
  );
});

/** The same cluster with one policy more, less, renamed, in another order, or replaced. */
const edits = fc
  .record({
    world: worlds(7),
    other: worlds(7),
    kind: fc.constantFrom('less', 'rename', 'turn', 'replace', 'twin', 'stage', 'cluster', 'same'),
    index: fc.nat(),
  })
  .map(({ world, other, kind, index }): [PolicyInput, PolicyInput] => {
    const before = inputOf(world);
    const { policies } = before;
    const at = index % Math.max(1, policies.length);
    const change = (edit: (policy: (typeof policies)[number]) => typeof policies) => ({
      ...before,
      policies: policies.flatMap((policy, number) => (number === at ? edit(policy) : [policy])),
    });
    switch (kind) {
      case 'less':
        return [before, change(() => [])];
      case 'rename':
        return [before, change((policy) => [{ ...policy, name: 'renamed' }])];
      case 'twin':
        return [before, change((policy) => [policy, { ...policy, name: 'twin' }])];
      case 'stage':
        return [before, change((policy) => [{ ...policy, staged: true }])];
      case 'turn':
        return [
          before,
          change(({ ingress, egress, ...rest }) => [
            {
              ...rest,
              ...(ingress === undefined ? {} : { ingress: ingress.toReversed() }),
              ...(egress === undefined ? {} : { egress: egress.toReversed() }),
            },
          ]),
        ];
      case 'replace':
        return [before, change(() => inputOf(other).policies.slice(0, 1))];
      case 'cluster':
        return [before, { ...before, clusterPolicies: before.clusterPolicies.slice(1) }];
      case 'same':
        return [before, inputOf(world)];
    }
  })
  // The pods must be the same objects, as they are where policies alone are others.
  .map(([before, after]): [PolicyInput, PolicyInput] => [
    before,
    { ...after, pods: before.pods, namespaces: before.namespaces, nodes: before.nodes },
  ]);

test(`${CASES} random edits: what changes is told, and nothing else, as the evaluator has it`, () => {
  let unchanged = 0;
  fc.assert(
    fc.property(edits, ([before, after]) => {
      const [old, now] = [compile(before), compile(after)];
      const changes = diffPolicies(before, after);
      const live = livePods(before);
      const differs = (source: Ip, destination: Ip) =>
        String(verdicts(old, source, destination)) !== String(verdicts(now, source, destination));
      const changedPairs = live.flatMap((from) =>
        live.filter((to) => from !== to && from.podIPs.some((ip, index) => differs(ip, to.podIPs[index]!))),
      ).length;
      const names = new Set(live.map(nameOf));
      const isPod = (party: Party) => party.kind === 'pods' && names.has(party.pod);
      const told = new Map(
        changes
          .filter(({ from, to }) => isPod(from) && isPod(to))
          .map((one) => [`${formatParty(one.from)} ${formatParty(one.to)}`, one.pairs]),
      );
      assert.equal(
        [...told.values()].reduce((sum, count) => sum + count, 0),
        changedPairs,
        JSON.stringify(changes),
      );
      const own = live.flatMap(({ podIPs }) => podIPs);
      // Ranges reach beyond the nodes in them, which always reach their own pods.
      const besideNodes = before.nodes.flatMap(({ ips }) =>
        ips.map((ip) => ipFromBigInt(ipToBigInt(ip) + 5n, ipFamily(ip))),
      );
      // Those of pods that have ended are free.
      const free = [...OUTSIDE, ...besideNodes, ...before.pods.flatMap(({ podIPs }) => podIPs)].filter(
        (ip) => !own.includes(ip),
      );
      const outside = own.some((ip) =>
        free.some((other) => ipFamily(ip) === ipFamily(other) && (differs(ip, other) || differs(other, ip))),
      );
      assert.equal(
        changes.some(({ from, to }) => !isPod(from) || !isPod(to)),
        outside,
        JSON.stringify(changes),
      );
      if (changes.length === 0) unchanged++;
    }),
    RUNS,
  );
  assert.ok(unchanged > 0 && unchanged < CASES, `${unchanged} of ${CASES} edits changed nothing`);
});

test(`${CASES} random clusters: the matrix of one pod says of each other pod and address what holds`, () => {
  fc.assert(
    fc.property(worlds(7), (world) => {
      const input = inputOf(world);
      const [pod] = livePods(input);
      if (pod === undefined) return;
      const { ingress, egress } = matrixOf(input, nameOf(pod));
      const compiled = compile(input);
      const whole = crowdsOf(input.pods, [compiled]).map(({ pods }) => pods.filter((one) => one !== pod));
      const crowds = whole.filter((pods) => pods.length > 0);
      crowds.forEach((pods, index) => {
        const texts = (way: (ip: Ip, other: Ip) => readonly [Ip, Ip]) => {
          const each = pod.podIPs.map((ip, family) =>
            formatReach(reachBetween(compiled, ...way(ip, pods[0]!.podIPs[family]!))),
          );
          return each[0] === each[1] ? each[0] : `IPv4: ${each[0]} | IPv6: ${each[1]}`;
        };
        assert.equal(
          formatReaches(ingress[index]!.reaches),
          texts((ip, other) => [other, ip]),
        );
        assert.equal(
          formatReaches(egress[index]!.reaches),
          texts((ip, other) => [ip, other]),
        );
      });
    }),
    RUNS,
  );
});
