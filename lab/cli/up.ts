/** `fairlead lab up`. */

import { type Command, EXIT } from '../../src/cli/command.ts';
import { labUp } from '../lab.ts';
import { parseUpOptions, UP_HELP, UP_OPTIONS } from './options.ts';

export const labUpCommand: Command = {
  name: 'lab up',
  synopsis: '[options]',
  summary:
    'Brings up a whole cluster on this machine, in network namespaces: nodes with real agents, pods with real processes.',
  options: UP_OPTIONS,
  optionHelp: UP_HELP,
  positionals: [0, 0],
  run: async (_, values) => {
    const options = parseUpOptions(values);
    const started = performance.now();
    const outcome = await labUp(options, (step) => process.stderr.write(`lab ${options.name}: ${step}\n`));
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    process.stderr.write(
      outcome === 'new'
        ? `lab ${options.name}: up in ${seconds} s\n`
        : `lab ${options.name}: is up already\n`,
    );
    return EXIT.ok;
  },
};
