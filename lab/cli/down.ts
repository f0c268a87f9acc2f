/** `fairlead lab down`. */

import { type Command, EXIT } from '../../src/cli/command.ts';
import { labDown } from '../lab.ts';
import { listLabs } from '../state.ts';
import { labName, NAME_HELP, NAME_OPTION } from './options.ts';

export const labDownCommand: Command = {
  name: 'lab down',
  synopsis: '[--name NAME | --all]',
  summary: 'Removes a lab: its processes, namespaces and files, and nothing else. Nothing to remove is fine.',
  options: { ...NAME_OPTION, all: { type: 'boolean' } },
  optionHelp: { ...NAME_HELP, all: 'every lab on this machine' },
  positionals: [0, 0],
  run: async (_, options) => {
    for (const name of options['all'] === true ? listLabs() : [labName(options)]) {
      await labDown(name);
      process.stderr.write(`lab ${name}: down\n`);
    }
    return EXIT.ok;
  },
};
