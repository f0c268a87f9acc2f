/** `fairlead lab status` and `fairlead lab list`. */

import { type Command, EXIT } from '../../src/cli/command.ts';
import { table } from '../../src/tools/status/table.ts';
import { listLabs, readRecord, requireLab } from '../state.ts';
import { agentLine, labStatus } from '../status.ts';
import { labName, NAME_HELP, NAME_OPTION } from './options.ts';

export const labStatusCommand: Command = {
  name: 'lab status',
  synopsis: '[--name NAME] [--json]',
  summary: 'Shows nodes, agents and pods of a lab.',
  options: { ...NAME_OPTION, json: { type: 'boolean' } },
  optionHelp: { ...NAME_HELP, json: 'the same as JSON' },
  positionals: [0, 0],
  run: async (_, options) => {
    const status = await labStatus(requireLab(labName(options)));
    if (options['json'] === true) {
      process.stdout.write(`${JSON.stringify(status, null, 2)}\n`);
      return EXIT.ok;
    }
    process.stdout.write(
      table(
        ['NODE', 'ADDRESS', 'RANGE', 'AGENT', 'PATHS', 'PODS'],
        status.nodes.map((node) => [
          node.name,
          node.address,
          node.ranges.join(' ') || '-',
          agentLine(node),
          node.paths,
          String(node.pods),
        ]),
      ),
    );
    process.stdout.write('\n');
    process.stdout.write(
      table(
        ['POD', 'NODE', 'ADDRESS', 'MTU', 'NAMESPACE'],
        status.pods.map((pod) => [
          pod.name,
          pod.node,
          pod.ips?.join(' ') ?? '-',
          String(pod.mtu ?? '-'),
          pod.namespace,
        ]),
      ),
    );
    const problems = status.nodes.flatMap(({ name, problems: found }) =>
      found.map((problem) => `${name}: ${problem}`),
    );
    if (problems.length > 0) process.stdout.write(`\n${problems.join('\n')}\n`);
    return problems.length > 0 ? EXIT.failed : EXIT.ok;
  },
};

export const labListCommand: Command = {
  name: 'lab list',
  synopsis: '',
  summary: 'Lists the labs on this machine.',
  options: {},
  optionHelp: {},
  positionals: [0, 0],
  run: () => {
    const rows = listLabs().map((name) => {
      const record = readRecord(name);
      const options = record?.plan.options;
      return [
        name,
        record?.phase ?? 'broken',
        String(options?.nodes ?? '-'),
        options?.backend ?? '-',
        options?.cni ?? '-',
      ];
    });
    process.stdout.write(table(['LAB', 'PHASE', 'NODES', 'BACKEND', 'CNI'], rows));
    return EXIT.ok;
  },
};
