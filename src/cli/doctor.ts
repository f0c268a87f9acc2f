/** `fairlead doctor`. */
import { join } from 'node:path';
import { readConfigurationFile } from '../base/config/file.ts';
import { openKernel } from '../edge/netlink/rtnetlink.ts';
import { examine } from '../tools/doctor/examine.ts';
import { type Finding, formatFinding } from '../tools/doctor/finding.ts';
import { askStatus } from '../tools/status/ask.ts';
import { AGENT_HELP, AGENT_OPTIONS, findAgents, openAccess } from './agent-access.ts';
import { type Command, EXIT, type Options, usageError } from './command.ts';

export const doctorCommand: Command = {
  name: 'doctor',
  synopsis:
    '--config FILE [--plugins FOLDER --networks FOLDER] [-o json]  |  --node NODE [--kubeconfig FILE] [-o json]',
  summary:
    'Examines this node, or by the API another one: its settings, firewalls of others, overlapping ranges, with real packets the path to every peer, and what becomes of packets that pods send through the node, by two pods of its own that are gone afterwards. Each fault comes with its cause and its cure.',
  options: {
    config: { type: 'string' },
    plugins: { type: 'string' },
    networks: { type: 'string' },
    node: AGENT_OPTIONS.node,
    namespace: AGENT_OPTIONS.namespace,
    kubeconfig: AGENT_OPTIONS.kubeconfig,
    output: { type: 'string', short: 'o' },
  },
  optionHelp: {
    config: 'the configuration file of the agent',
    plugins: "the container runtime's folder of plugins (/opt/cni/bin); default cni.binDirectory",
    networks: "the container runtime's folder of networks (/etc/cni/net.d); default cni.confDirectory",
    node: 'examine this node, from within the pod of its agent',
    namespace: AGENT_HELP.namespace,
    kubeconfig: AGENT_HELP.kubeconfig,
    output: 'json: the findings, for programs',
  },
  positionals: [0, 0],
  run: async (_, options) => {
    if (options['node'] !== undefined) return examineElsewhere(options);
    const { config, plugins, networks, output } = options;
    if (typeof config !== 'string')
      throw usageError(
        'doctor: name the configuration file of the agent: fairlead doctor --config FILE, or a node whose agent is asked by the API: --node NODE',
      );
    if (typeof plugins !== typeof networks)
      throw usageError('doctor: give both --plugins and --networks, or neither');
    const { paths, podNetwork, cni, masquerade } = readConfigurationFile(config);
    const status = await askStatus(join(paths.socketDirectory, 'api.sock'));
    using kernel = openKernel();
    const findings: Finding[] = [];
    const folders = {
      plugins: typeof plugins === 'string' ? plugins : cni.binDirectory,
      networks: typeof networks === 'string' ? networks : cni.confDirectory,
    };
    const runtime = folders.plugins !== '' && folders.networks !== '' ? { runtime: folders } : {};
    const patient = {
      status,
      kernel,
      podNetwork,
      cniSocket: join(paths.socketDirectory, 'cni.sock'),
      masquerades: masquerade.enabled,
      ...runtime,
    };
    const { forwarded } = await examine(patient, (finding) => {
      findings.push(finding);
      if (output !== 'json') process.stdout.write(`${formatFinding(finding)}\n`);
    });
    if (output === 'json') process.stdout.write(`${JSON.stringify(findings, null, 2)}\n`);
    const ill = findings.filter(({ verdict }) => verdict === 'broken').length;
    if (output !== 'json')
      process.stdout.write(`\n${summaryOf(ill, forwarded)}, ${findings.length} examined.\n`);
    return ill === 0 ? EXIT.ok : EXIT.failed;
  },
};

/** That nothing is broken is known only of a node through which packets went. */
function summaryOf(broken: number, forwarded: boolean): string {
  if (broken > 0) return `${broken} broken`;
  return forwarded
    ? 'Nothing is broken'
    : 'Nothing of what was examined is broken, but no packet was forwarded';
}

async function examineElsewhere(options: Options): Promise<number> {
  const { config, plugins, networks, output } = options;
  if ((config ?? plugins ?? networks) !== undefined)
    throw usageError('doctor: --config, --plugins and --networks are of this node, --node is of another');
  const [agent] = await findAgents(openAccess(options));
  return agent!.run(['doctor', ...(typeof output === 'string' ? ['-o', output] : [])]);
}
