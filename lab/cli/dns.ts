/** `fairlead lab dns serve`. */
import type { Command } from '../../src/cli/command.ts';
import { labName, NAME_HELP, NAME_OPTION } from './options.ts';

export const labDnsServeCommand: Command = {
  name: 'lab dns serve',
  synopsis: '[--name NAME]',
  summary: 'The process of the cluster DNS of a lab, in the network of its pod.',
  options: NAME_OPTION,
  optionHelp: NAME_HELP,
  positionals: [0, 0],
  run: async (_, options) => {
    // Loaded here: no other command needs it.
    const { serveLabDns } = await import('../dns/serve.ts');
    return serveLabDns(labName(options));
  },
};
