/** `fairlead version`. */
import { versionOf } from '../base/version.ts';
import { type Command, EXIT } from './command.ts';

export const versionCommand: Command = {
  name: 'version',
  synopsis: '',
  summary: 'Prints the version of Fairlead and of what runs it.',
  options: {},
  optionHelp: {},
  positionals: [0, 0],
  run: () => {
    process.stdout.write(`fairlead ${versionOf()}, Node.js ${process.version}\n`);
    return EXIT.ok;
  },
};
