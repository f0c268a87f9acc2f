/** `fairlead install`. */
import { readConfigurationFile } from '../base/config/file.ts';
import { nativePart } from '../base/native-part.ts';
import { install } from '../edge/runtime/install.ts';
import { type Command, EXIT, usageError } from './command.ts';

const PLUGIN = nativePart('fairlead-cni');

export const installCommand: Command = {
  name: 'install',
  synopsis: '--config FILE',
  summary:
    "Puts the plugin into the container runtime's folder (cni.binDirectory), and what network managers of the host need to leave Fairlead alone (host.…). What is there already stays as it is; the network list is the agent's, which writes it when it can take pods.",
  options: { config: { type: 'string' } },
  optionHelp: { config: 'the configuration file of the agent' },
  positionals: [0, 0],
  run: (_, { config }) => {
    if (typeof config !== 'string')
      throw usageError('install: name the configuration file of the agent: fairlead install --config FILE');
    install(readConfigurationFile(config), PLUGIN, (line) => void process.stdout.write(`${line}\n`));
    return EXIT.ok;
  },
};
