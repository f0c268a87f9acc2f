/** `fairlead drops`. */
import { type Denial, formatDenial } from '../plan/flow/denial.ts';
import {
  AGENT_HELP,
  AGENT_OPTIONS,
  AGENT_SYNOPSIS,
  type Agent,
  findAgents,
  openAccess,
} from './agent-access.ts';
import { askEach } from './ask-each.ts';
import { type Command, EXIT } from './command.ts';

type Item = Denial | { unreported: number };

export const dropsCommand: Command = {
  name: 'drops',
  synopsis: `[-f] [--pod NAMESPACE/NAME] ${AGENT_SYNOPSIS} [-o json]`,
  summary:
    'Packets that policies denied on this node, or on all where the API is asked, with the pods and the rule: the latest ones, or with -f from now on. The kernel reports at most 20 a second for each reason, and counts the rest.',
  options: {
    follow: { type: 'boolean', short: 'f' },
    pod: { type: 'string' },
    ...AGENT_OPTIONS,
    output: { type: 'string', short: 'o' },
  },
  optionHelp: {
    follow: 'go on until interrupted',
    pod: 'those of this pod alone, at either end',
    ...AGENT_HELP,
    output: 'json: one object per line, for programs',
  },
  positionals: [0, 0],
  run: async (_, options) => {
    const { follow, pod, output } = options;
    const wanted = typeof pod !== 'string' || pod.includes('/') ? pod : `default/${pod}`;
    const agents = await findAgents(openAccess(options));
    const show = (item: Item, { node }: Pick<Agent, 'node'>) => {
      const isOther =
        wanted !== undefined &&
        !('unreported' in item) &&
        item.sourcePod !== wanted &&
        item.destinationPod !== wanted;
      if (isOther) return;
      const whole = node === undefined ? item : { node, ...item };
      const where = node === undefined || agents.length === 1 ? '' : `${node}  `;
      process.stdout.write(`${output === 'json' ? JSON.stringify(whole) : `${where}${format(item)}`}\n`);
    };
    if (follow === true) {
      await Promise.all(
        agents.map((agent) => agent.follow('/drops?follow', (line) => show(JSON.parse(line) as Item, agent))),
      );
      return EXIT.ok;
    }
    const answers = await askEach(agents, (agent) => agent.ask('/drops') as Promise<{ denials: Denial[] }>);
    const all = answers.flatMap(({ agent, answer }) => answer.denials.map((denial) => ({ agent, denial })));
    if (all.length === 0 && output !== 'json') process.stdout.write('No packet was denied lately.\n');
    for (const { agent, denial } of all.toSorted((a, b) => (a.denial.time < b.denial.time ? -1 : 1)))
      show(denial, agent);
    return EXIT.ok;
  },
};

function format(item: Item): string {
  return 'unreported' in item ? `… ${item.unreported} more were denied and not reported` : formatDenial(item);
}
