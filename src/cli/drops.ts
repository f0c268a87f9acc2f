/** `fairlead drops`. */
import { type Denial, formatDenial } from '../plan/flow/denial.ts';
import { askAgent, followAgent } from '../tools/status/ask.ts';
import { type Command, EXIT } from './command.ts';
import { DEFAULT_SOCKET } from './status.ts';

export const dropsCommand: Command = {
  name: 'drops',
  synopsis: '[-f] [--pod NAMESPACE/NAME] [--socket PATH] [-o json]',
  summary:
    'Packets that policies denied on this node, with the pods and the rule: the latest ones, or with -f from now on. The kernel reports at most 20 a second for each reason, and counts the rest.',
  options: {
    follow: { type: 'boolean', short: 'f' },
    pod: { type: 'string' },
    socket: { type: 'string' },
    output: { type: 'string', short: 'o' },
  },
  optionHelp: {
    follow: 'go on until interrupted',
    pod: 'those of this pod alone, at either end',
    socket: `the agent's socket (default ${DEFAULT_SOCKET})`,
    output: 'json: one object per line, for programs',
  },
  positionals: [0, 0],
  run: async (_, { follow, pod, socket, output }) => {
    const path = typeof socket === 'string' ? socket : DEFAULT_SOCKET;
    const wanted = typeof pod !== 'string' || pod.includes('/') ? pod : `default/${pod}`;
    const show = (item: Denial | { unreported: number }) => {
      if ('unreported' in item) {
        const text =
          output === 'json' ? JSON.stringify(item) : `… ${item.unreported} more were denied and not reported`;
        process.stdout.write(`${text}\n`);
      } else if (wanted === undefined || item.sourcePod === wanted || item.destinationPod === wanted) {
        process.stdout.write(`${output === 'json' ? JSON.stringify(item) : formatDenial(item)}\n`);
      }
    };
    if (follow === true) {
      await followAgent(path, '/drops?follow', (line) => show(JSON.parse(line) as Denial));
      return EXIT.ok;
    }
    const { denials } = (await askAgent(path, '/drops')) as { denials: Denial[] };
    if (denials.length === 0 && output !== 'json') process.stdout.write('No packet was denied lately.\n');
    denials.forEach(show);
    return EXIT.ok;
  },
};
