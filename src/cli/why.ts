/** `fairlead why`. */
import type { WhyAnswer } from '../agent/serve/why.ts';
import { FairleadError } from '../base/errors/errors.ts';
import { homeOf } from '../cluster/home.ts';
import type { KubeClient } from '../edge/kubernetes/client.ts';
import { nodeOf } from '../plan/policy/answer/place.ts';
import { formatWhy, ingressNodeOf, resultOf, type WhyResult, withIngress } from '../tools/status/why.ts';
import {
  AGENT_HELP,
  AGENT_OPTIONS,
  AGENT_SYNOPSIS,
  type Agent,
  findAgents,
  openAccess,
} from './agent-access.ts';
import { type Command, EXIT, type Options, usageError } from './command.ts';
import { OUTPUT_HELP, OUTPUT_OPTION, print } from './output.ts';

export const whyCommand: Command = {
  name: 'why',
  synopsis: `SOURCE DESTINATION [--port PORT] [--proto tcp] [--family 4|6] ${AGENT_SYNOPSIS} [-o json]`,
  summary:
    'Whether a connection is allowed or denied, by which policy and rule on which side, and the path that it takes, from what is in force on the nodes of both ends. Ends are pods (NAMESPACE/NAME), addresses, node/NAME, and as destination a service (svc/NAMESPACE/NAME, or its address).',
  options: {
    port: { type: 'string' },
    proto: { type: 'string' },
    protocol: { type: 'string' },
    family: { type: 'string' },
    ...AGENT_OPTIONS,
    ...OUTPUT_OPTION,
  },
  optionHelp: {
    port: 'of the destination; not for icmp, nor needed for a service that has one alone',
    proto: 'tcp, udp, sctp or icmp (default tcp)',
    protocol: 'the same as --proto',
    family: '4 or 6 (default: both where both ends have both)',
    ...AGENT_HELP,
    ...OUTPUT_HELP,
  },
  positionals: [2, 2],
  run: async ([source = '', destination = ''], options) => {
    const question = { source, destination, ...questionOf(options) };
    const access = openAccess(options);
    const result =
      'local' in access || access.node !== undefined
        ? resultOf(await ask((await findAgents(access))[0]!, question))
        : await askBoth(access.client, await findAgents(access), question);
    print(options, result, formatWhy);
    return result.answers.every(({ verdict }) => verdict === 'allowed') ? EXIT.ok : EXIT.failed;
  },
};

type Query = { source: string; destination: string; protocol: string; port?: string; family?: string };

function questionOf({ port, proto, protocol, family }: Options): Omit<Query, 'source' | 'destination'> {
  if (family !== undefined && family !== '4' && family !== '6')
    throw usageError(`--family: ${JSON.stringify(family)} does not fit; use 4 or 6`);
  return {
    protocol: String(proto ?? protocol ?? 'tcp'),
    ...(port === undefined ? {} : { port: String(port) }),
    ...(family === undefined ? {} : { family }),
  };
}

async function ask(agent: Agent, question: Query): Promise<WhyAnswer> {
  const answer = (await agent.ask(`/why?${new URLSearchParams(question).toString()}`)) as
    | WhyAnswer
    | { error: string };
  if ('error' in answer) throw new FairleadError('FL_USAGE', `why: ${answer.error}`);
  return answer;
}

/** Each side is asked where it is enforced. What begins outside is asked at its destination alone. */
async function askBoth(client: KubeClient, agents: readonly Agent[], question: Query): Promise<WhyResult> {
  const agentOf = (node: string | undefined) => agents.find((one) => node !== undefined && one.node === node);
  const from = agentOf(await homeOf(client, question.source));
  const first = from ?? agentOf(await homeOf(client, question.destination)) ?? agents[0]!;
  const asked = await ask(first, question);
  // What the caller may not read an agent knows: whose side the source's is.
  const home = agentOf(nodeOf(asked.answers[0]!.sourcePlace));
  const beginning = home === undefined || home === first ? asked : await ask(home, question);
  let result = resultOf(beginning);
  for (const { destination, port, family } of beginning.answers) {
    const answer = result.answers.find((one) => one.family === family)!;
    const there = agentOf(ingressNodeOf(answer));
    if (there === undefined || result.asOf.some(({ node }) => node === there.node)) continue;
    // The address itself: of a service it is the backend that was chosen.
    const { port: _, family: __, ...rest } = question;
    result = withIngress(
      result,
      await ask(there, {
        ...rest,
        destination: beginning.service === undefined ? question.destination : destination,
        ...(port === undefined ? {} : { port: String(port) }),
        ...(beginning.service === undefined && question.family === undefined
          ? {}
          : { family: String(family) }),
      }),
    );
  }
  return result;
}
