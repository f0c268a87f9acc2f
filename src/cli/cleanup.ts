/** `fairlead cleanup`. */
import { join } from 'node:path';
import { readConfigurationFile } from '../base/config/file.ts';
import { FairleadError } from '../base/errors/errors.ts';
import { describeOperation } from '../edge/netlink/codec/operation.ts';
import { openKernel } from '../edge/netlink/rtnetlink.ts';
import { openNftables } from '../edge/nftables/nft.ts';
import { installedFiles } from '../edge/runtime/install.ts';
import { describeSetting, findTraces, removeTraces } from '../tools/cleanup/cleanup.ts';
import { askStatus } from '../tools/status/ask.ts';
import { type Command, EXIT, usageError } from './command.ts';

export const cleanupCommand: Command = {
  name: 'cleanup',
  synopsis: '--config FILE [--with-pods] [--dry-run]',
  summary:
    'Takes every trace of Fairlead from this node: routes, rules, devices, the nftables tables, settings that it changed, its folders. Refuses while the agent runs, and while pods are attached.',
  options: { config: { type: 'string' }, 'with-pods': { type: 'boolean' }, 'dry-run': { type: 'boolean' } },
  optionHelp: {
    config: 'the configuration file of the agent',
    'with-pods': 'also the interfaces of pods that run: they lose their network',
    'dry-run': 'only says what would be removed',
  },
  positionals: [0, 0],
  run: async (_, options) => {
    const { config } = options;
    if (typeof config !== 'string')
      throw usageError('cleanup: name the configuration file of the agent: fairlead cleanup --config FILE');
    const configuration = readConfigurationFile(config);
    const { paths, podNetwork } = configuration;
    if ((await askStatus(join(paths.socketDirectory, 'api.sock')).catch(() => undefined)) !== undefined) {
      throw new FairleadError(
        'FL_CLEANUP',
        'the agent of this node runs, and would put everything back; stop it first',
      );
    }
    using kernel = openKernel();
    using nftables = openNftables();
    const place = {
      kernel,
      nftables,
      podNetwork,
      stateDirectory: paths.stateDirectory,
      sysctlDirectory: paths.sysctlDirectory,
      folders: [paths.socketDirectory, paths.stateDirectory],
      files: installedFiles(configuration),
    };
    const traces = await findTraces(place);
    if (traces.pods > 0 && options['with-pods'] !== true) {
      throw new FairleadError(
        'FL_CLEANUP',
        `${traces.pods} pods are attached and would lose their network; delete or drain them first, or say --with-pods`,
      );
    }
    const tell = (line: string) => void process.stdout.write(`${line}\n`);
    if (options['dry-run'] === true) {
      traces.operations.forEach((operation) => tell(describeOperation(operation)));
      for (const { family, name } of traces.tables) tell(`nftables table ${family} ${name}`);
      traces.files.forEach((file) => tell(`file ${file}`));
      for (const setting of traces.settings) tell(describeSetting(setting));
      traces.folders.forEach((folder) => tell(`folder ${folder}`));
      return EXIT.ok;
    }
    const problems = await removeTraces(traces, place, tell);
    for (const problem of problems) process.stderr.write(`fairlead: ${problem}\n`);
    tell(problems.length === 0 ? 'Nothing of Fairlead is left.' : 'Not all could be removed.');
    return problems.length === 0 ? EXIT.ok : EXIT.failed;
  },
};
