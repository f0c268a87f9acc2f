/** `fairlead lab pod add` and `fairlead lab pod rm`. */

import { type Command, EXIT, usageError } from '../../src/cli/command.ts';
import { addPod, deletePod, requirePod } from '../pods.ts';
import { readPods, requireLab } from '../state.ts';
import { labName, NAME_HELP, NAME_OPTION } from './options.ts';

export const podAddCommand: Command = {
  name: 'lab pod add',
  synopsis: 'POD [--node NODE] [--mtu BYTES] [--name LAB]',
  summary: 'Adds a pod through the CNI plugin, as a container runtime would, with a process in it.',
  options: { ...NAME_OPTION, node: { type: 'string' }, mtu: { type: 'string' } },
  optionHelp: {
    ...NAME_HELP,
    node: 'where it runs (default: the node with the fewest pods)',
    mtu: 'MTU of its interface',
  },
  positionals: [1, 1],
  run: async ([name = ''], options) => {
    const plan = requireLab(labName(options));
    const { mtu } = options;
    if (mtu !== undefined && !/^\d{2,5}$/.test(String(mtu)))
      throw usageError(`--mtu: ${JSON.stringify(mtu)} is no number of bytes`);
    const counts = Map.groupBy(readPods(plan.options.name), ({ node }) => node);
    const emptiest = plan.nodes.toSorted(
      (a, b) => (counts.get(a.name)?.length ?? 0) - (counts.get(b.name)?.length ?? 0),
    )[0]!;
    const node = typeof options['node'] === 'string' ? options['node'] : emptiest.name;
    const pod = await addPod(plan, name, node, mtu === undefined ? undefined : Number(mtu));
    process.stdout.write(`${pod.name} on ${pod.node}: ${pod.ips?.join(' ')}\n`);
    return EXIT.ok;
  },
};

export const podRemoveCommand: Command = {
  name: 'lab pod rm',
  synopsis: 'POD [--name LAB]',
  summary: 'Removes a pod through the CNI plugin.',
  options: NAME_OPTION,
  optionHelp: NAME_HELP,
  positionals: [1, 1],
  run: async ([name = ''], options) => {
    const plan = requireLab(labName(options));
    await deletePod(plan, requirePod(plan.options.name, name));
    process.stdout.write(`${name} removed\n`);
    return EXIT.ok;
  },
};
