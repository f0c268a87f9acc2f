/** Asks every cell of a truth table with real packets, and why those are wrong that are. */
import type { WhyAnswer } from '../../src/agent/serve/why.ts';
import { formatReason } from '../../src/plan/flow/flow-record.ts';
import { askAgent } from '../../src/tools/status/ask.ts';
import { concurrently } from '../concurrently.ts';
import { probe, type Target, wasLetThrough } from '../prober.ts';
import { nodePaths, readPods } from '../state.ts';
import type { LabPlan } from '../topology.ts';
import type { Expectation } from './expectation.ts';

export type Cell = Expectation & {
  passed: boolean;
  /** Which policies and rules say so; of cells that are wrong. */
  because?: string;
};

type Host = { namespace: string; addresses: readonly string[] };

/** What is denied is silence: this long no answer came. */
const SILENCE_MS = 300;
/** A machine that is busy looks like silence: what was to pass is asked once more. */
const PATIENCE_MS = 3000;
const ASKERS = 16;
const MOST_EXPLAINED = 50;

export async function checkCells(plan: LabPlan, expectations: readonly Expectation[]): Promise<Cell[]> {
  const hosts = hostsOf(plan);
  const passed = await ask(hosts, expectations, SILENCE_MS);
  const missed = expectations.filter((expectation) => expectation.allow && !passed.has(expectation));
  for (const expectation of await ask(hosts, missed, PATIENCE_MS)) passed.add(expectation);
  const cells = expectations.map(
    (expectation): Cell => ({ ...expectation, passed: passed.has(expectation) }),
  );
  const wrong = cells.filter((cell) => cell.passed !== cell.allow).slice(0, MOST_EXPLAINED);
  for (const cell of wrong) cell.because = await explain(plan, hosts, cell);
  return cells;
}

/** By the names of ends in a truth table. */
export function hostsOf(plan: LabPlan): Map<string, Host> {
  const pods = readPods(plan.options.name).map(({ name, namespace, ips = [] }): [string, Host] => [
    name.includes('/') ? name : `default/${name}`,
    { namespace, addresses: ips },
  ]);
  const nodes = plan.nodes.map(({ name, namespace, addresses }): [string, Host] => [
    `node/${name}`,
    { namespace, addresses },
  ]);
  return new Map([...pods, ...nodes, ['world', plan.world]]);
}

/** @returns those that got through, in every family that both ends have. */
async function ask(
  hosts: ReadonlyMap<string, Host>,
  expectations: readonly Expectation[],
  timeoutMs: number,
): Promise<Set<Expectation>> {
  const stopped = new Set<Expectation>();
  await concurrently(
    Map.groupBy(expectations, ({ from }) => from),
    ASKERS,
    async ([from, own]) => {
      const { namespace, addresses } = hosts.get(from)!;
      const asked = own.flatMap((expectation) =>
        addressesTo(hosts, expectation.to, addresses).map((address) => ({ expectation, address })),
      );
      const targets = asked.map(({ expectation: { protocol, port }, address }, id): Target => {
        return {
          id,
          protocol: protocol.toLowerCase() as Target['protocol'],
          address,
          port,
          size: 32,
          timeoutMs,
        };
      });
      const outcomes = await probe(namespace, targets);
      const through = new Set(
        outcomes
          .filter((outcome) => wasLetThrough(targets[Number(outcome.id)]!, outcome))
          .map(({ id }) => Number(id)),
      );
      asked.forEach(({ expectation }, id) => {
        if (!through.has(id)) stopped.add(expectation);
      });
    },
  );
  return new Set(expectations.filter((expectation) => !stopped.has(expectation)));
}

function addressesTo(hosts: ReadonlyMap<string, Host>, to: string, from: readonly string[]): string[] {
  const families = new Set(from.map((address) => address.includes(':')));
  return (hosts.get(to)?.addresses ?? [to]).filter((address) => families.has(address.includes(':')));
}

/** As an agent of the lab explains it. */
async function explain(plan: LabPlan, hosts: ReadonlyMap<string, Host>, cell: Cell): Promise<string> {
  const end = (name: string) => hosts.get(name)?.addresses[0] ?? name;
  const query = new URLSearchParams({
    source: end(cell.from),
    destination: end(cell.to),
    protocol: cell.protocol,
  });
  if (cell.protocol !== 'ICMP') query.set('port', String(cell.port));
  const socket = nodePaths(plan.options.name, plan.nodes[0]!.name).apiSocket;
  const answer = (await askAgent(socket, `/why?${query.toString()}`)) as WhyAnswer | { error: string };
  if ('error' in answer) return answer.error;
  const { answers } = answer;
  const { egress, ingress } = answers.find(({ verdict }) => verdict !== 'allowed') ?? answers[0]!;
  return `egress: ${formatReason(egress.reason)}; ingress: ${formatReason(ingress.reason)}`;
}
