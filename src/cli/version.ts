/** `fairlead version`. */
import { readFileSync } from 'node:fs';
import { type Command, EXIT } from './command.ts';

export const versionCommand: Command = {
  name: 'version',
  synopsis: '',
  summary: 'Prints the version of Fairlead and of what runs it.',
  options: {},
  optionHelp: {},
  positionals: [0, 0],
  run: () => {
    const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    process.stdout.write(`fairlead ${manifest.version}, Node.js ${process.version}\n`);
    return EXIT.ok;
  },
};
