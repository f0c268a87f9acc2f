/** `fairlead doctor`. */
import { join } from 'node:path';
import { readConfigurationFile } from '../base/config/file.ts';
import { openKernel } from '../edge/netlink/rtnetlink.ts';
import { examine } from '../tools/doctor/examine.ts';
import { type Finding, formatFinding } from '../tools/doctor/finding.ts';
import { askStatus } from '../tools/status/ask.ts';
import { type Command, EXIT, usageError } from './command.ts';

export const doctorCommand: Command = {
  name: 'doctor',
  synopsis: '--config FILE [--plugins FOLDER --networks FOLDER] [-o json]',
  summary:
    'Examines this node: its settings, firewalls of others, overlapping ranges, and with real packets the path to every peer. Each fault comes with its cause and its cure.',
  options: {
    config: { type: 'string' },
    plugins: { type: 'string' },
    networks: { type: 'string' },
    output: { type: 'string', short: 'o' },
  },
  optionHelp: {
    config: 'the configuration file of the agent',
    plugins: "the container runtime's folder of plugins (/opt/cni/bin); default cni.binDirectory",
    networks: "the container runtime's folder of networks (/etc/cni/net.d); default cni.confDirectory",
    output: 'json: the findings, for programs',
  },
  positionals: [0, 0],
  run: async (_, { config, plugins, networks, output }) => {
    if (typeof config !== 'string')
      throw usageError('doctor: name the configuration file of the agent: fairlead doctor --config FILE');
    if (typeof plugins !== typeof networks)
      throw usageError('doctor: give both --plugins and --networks, or neither');
    const { paths, podNetwork, cni } = readConfigurationFile(config);
    const status = await askStatus(join(paths.socketDirectory, 'api.sock'));
    using kernel = openKernel();
    const findings: Finding[] = [];
    const folders = {
      plugins: typeof plugins === 'string' ? plugins : cni.binDirectory,
      networks: typeof networks === 'string' ? networks : cni.confDirectory,
    };
    const runtime = folders.plugins !== '' && folders.networks !== '' ? { runtime: folders } : {};
    await examine({ status, kernel, podNetwork, ...runtime }, (finding) => {
      findings.push(finding);
      if (output !== 'json') process.stdout.write(`${formatFinding(finding)}\n`);
    });
    if (output === 'json') process.stdout.write(`${JSON.stringify(findings, null, 2)}\n`);
    const ill = findings.filter(({ verdict }) => verdict === 'broken').length;
    if (output !== 'json')
      process.stdout.write(
        `\n${ill === 0 ? 'Nothing is broken' : `${ill} broken`}, ${findings.length} examined.\n`,
      );
    return ill === 0 ? EXIT.ok : EXIT.failed;
  },
};
