/** Sends packets through this node as its pods do, from stand-ins for them, and looks what became of those that are missed. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import type { NodeView } from '../../agent/node/node-view.ts';
import { describeError } from '../../base/errors/errors.ts';
import { cidrFamily } from '../../base/ip/cidr.ts';
import { type Ip, type IpFamily, ipFamily } from '../../base/ip/ip.ts';
import type { Kernel } from '../../edge/netlink/kernel.ts';
import { MAIN_TABLE } from '../../edge/netlink/objects.ts';
import { type ClosedChain, closedLegacyChains } from '../../edge/nftables/forward-chains.ts';
import { gatewayOf } from '../../plan/ipam/allocate.ts';
import { doubtful, type Finding } from './finding.ts';
import {
  FORWARDED,
  failing,
  type Goal,
  isAnswered,
  judgeForwarding,
  probesTo,
  type Tried,
} from './forwarding.ts';
import type { Answer, PeerRange } from './paths.ts';
import { send } from './prober.ts';
import { describeRule, foreignRules, isForeign } from './routing-rules.ts';
import { attachStandIn, type StandIn } from './stand-in.ts';
import { type Traces, trace } from './trace.ts';

export type ForwardedInput = {
  view: NodeView;
  kernel: Kernel;
  /** Of the agent, for plugins. */
  cniSocket: string;
  /** Ranges of peers to which there is a path, and whether they answered this node. */
  peers: readonly (PeerRange & { answers: boolean })[];
  masquerades: boolean;
};

export type Forwarded = {
  findings: readonly Finding[];
  /** Whether packets were sent at all. */
  tried: boolean;
};

/** Of those that are missed so many are sent again while nftables traces. */
const MOST_TRACED = 20;
const CANARY_MS = 200;
/** What is lost is sent twice, and none of it goes far. */
const PATIENCE_MS = 1000;

export async function examineForwarded(input: ForwardedInput): Promise<Forwarded> {
  try {
    await using source = await attachStandIn(input.cniSocket, 'source');
    await using destination = await attachStandIn(input.cniSocket, 'destination');
    return { findings: await tryAll(input, source, destination), tried: true };
  } catch (error) {
    return { findings: [untried(describeError(error))], tried: false };
  }
}

export function untried(reason: string, cure = 'as it says'): Finding {
  return doubtful('forwarded packets', `none were sent: ${reason}`, cure);
}

async function tryAll(input: ForwardedInput, source: StandIn, destination: StandIn): Promise<Finding[]> {
  const { ranges } = input.view;
  const goals = await goalsOf(input, source, destination);
  const tried = await sendTo(goals, source);
  const missed = failing(tried).slice(0, MOST_TRACED);
  const canaryTo = gatewayOf(
    ranges.find((range) => cidrFamily(range) === ipFamily(source.ips[0]!)) ?? ranges[0]!,
  );
  const again: Tried[] = [];
  const traces: Traces =
    missed.length === 0
      ? { known: false, why: 'all was answered' }
      : await trace(
          {
            ips: source.ips,
            canaryTo,
            canary: (kind) => send([{ kind, address: canaryTo, size: 0 }], source.namespace, CANARY_MS),
          },
          async () =>
            again.push(
              ...(await sendTo(
                missed.map(({ goal }) => goal),
                source,
              )),
            ),
        );
  // What was answered at the second time was an accident at the first.
  const latest = tried.map((one) => again.find(({ goal }) => goal === one.goal) ?? one);
  return judgeForwarding(latest, {
    traces,
    legacy: missed.length === 0 ? [] : await legacyChains(),
    routing: missed.length === 0 ? [] : await routingRules(input.kernel),
    masquerades: input.masquerades,
    ranges,
  });
}

async function sendTo(goals: readonly Goal[], source: StandIn): Promise<Tried[]> {
  const answers = await send(goals.flatMap(probesTo), source.namespace, PATIENCE_MS);
  return goals.map((goal, index) => ({
    goal,
    answers: answers.slice(index * FORWARDED.length, (index + 1) * FORWARDED.length),
  }));
}

async function goalsOf(
  { kernel, peers }: ForwardedInput,
  source: StandIn,
  destination: StandIn,
): Promise<Goal[]> {
  const from = (family: IpFamily): Ip[] => source.ips.filter((ip) => ipFamily(ip) === family).slice(0, 1);
  const pods = destination.ips.flatMap((address) =>
    from(ipFamily(address)).map(
      (ip): Goal => ({
        name: `a pod of this node (IPv${ipFamily(ip)})`,
        kind: 'pod',
        source: ip,
        address,
        answersNode: true,
      }),
    ),
  );
  const others = peers.flatMap(({ peer, range, answers }) =>
    from(cidrFamily(range)).map(
      (ip): Goal => ({
        name: `${peer} (${range})`,
        kind: 'peer',
        source: ip,
        address: gatewayOf(range),
        answersNode: answers,
      }),
    ),
  );
  const routers = defaultGateways(kernel).flatMap((address) =>
    from(ipFamily(address)).map((ip) => ({ ip, address })),
  );
  const answers = await send(
    routers.flatMap(({ address }) => FORWARDED.map((kind) => ({ kind, address, size: 56 }))),
  );
  const outside = routers.map(({ ip, address }, index): Goal => {
    const goal = { name: `the outside by way of ${address}`, kind: 'outside', source: ip, address } as const;
    const own = answers.slice(index * FORWARDED.length, (index + 1) * FORWARDED.length);
    return {
      ...goal,
      answersNode: own.some((answer: Answer) => isAnswered(answer, { ...goal, answersNode: true })),
    };
  });
  return [...pods, ...others, ...outside];
}

/** Those that an address of theirs leads to: a link-local one needs an interface, which a pod does not know. */
function defaultGateways(kernel: Kernel): Ip[] {
  const gateways = kernel
    .routes({ table: MAIN_TABLE })
    .filter(({ destination, type }) => type === 'unicast' && destination.endsWith('/0'))
    .flatMap(({ gateway }) => (gateway === undefined || gateway.startsWith('fe80:') ? [] : [gateway]));
  return [...new Set(gateways)];
}

/** By ip(8), where it is: it tells of rules too that look up no table. */
async function routingRules(kernel: Kernel): Promise<string[]> {
  try {
    const texts = await Promise.all(
      ['-4', '-6'].map(async (family) => (await promisify(execFile)('ip', [family, 'rule', 'show'])).stdout),
    );
    return texts.flatMap(foreignRules);
  } catch {
    return kernel.rules().filter(isForeign).map(describeRule);
  }
}

/** Rules of legacy iptables, which nftables does not list. */
async function legacyChains(): Promise<ClosedChain[]> {
  const found: ClosedChain[] = [];
  for (const [family, names, program] of [
    [4, '/proc/net/ip_tables_names', 'iptables-legacy-save'],
    [6, '/proc/net/ip6_tables_names', 'ip6tables-legacy-save'],
  ] as const) {
    if (!existsSync(names) || !readFileSync(names, 'utf8').split('\n').includes('filter')) continue;
    try {
      const { stdout } = await promisify(execFile)(program, ['-t', 'filter']);
      found.push(...closedLegacyChains(stdout, family));
    } catch {
      found.push({
        table: `filter of legacy ip${family === 6 ? '6' : ''}tables`,
        chain: 'FORWARD',
        by: `not read: ${program} is not here`,
        refusesAll: false,
      });
    }
  }
  return found;
}
