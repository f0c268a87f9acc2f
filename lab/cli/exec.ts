/** `fairlead lab exec`, `lab node exec` and `lab capture`: commands inside a pod or a node. */
import { spawn } from 'node:child_process';
import { FairleadError } from '../../src/base/errors/errors.ts';
import { type Command, usageError } from '../../src/cli/command.ts';
import { withResolver } from '../kubelet/resolver.ts';
import { namespacePath } from '../namespaces.ts';
import { requireNode, requirePod } from '../pods.ts';
import { readPods, requireLab } from '../state.ts';
import type { LabPlan } from '../topology.ts';
import { labName, NAME_HELP, NAME_OPTION } from './options.ts';

export const labExecCommand: Command = {
  name: 'lab exec',
  synopsis: 'POD [--name LAB] -- COMMAND…',
  summary: "Runs a command in the network of a pod; its exit status is the command's.",
  options: NAME_OPTION,
  optionHelp: NAME_HELP,
  positionals: [2, 1000],
  run: ([pod = '', ...command], options) => {
    const plan = requireLab(labName(options));
    return runInside(requirePod(plan.options.name, pod).namespace, withResolver(plan, pod, command));
  },
};

export const nodeExecCommand: Command = {
  name: 'lab node exec',
  synopsis: 'NODE [--name LAB] -- COMMAND…',
  summary: "Runs a command in the network of a node; its exit status is the command's.",
  options: NAME_OPTION,
  optionHelp: NAME_HELP,
  positionals: [2, 1000],
  run: ([node = '', ...command], options) => {
    const plan = requireLab(labName(options));
    return runInside(requireNode(plan, node).namespace, command);
  },
};

export const captureCommand: Command = {
  name: 'lab capture',
  synopsis: 'POD|NODE|world|underlay [--interface I] [--count N] [--name LAB] [-- FILTER…]',
  summary: 'Shows the packets of a pod or a node as they pass, decoded, until interrupted.',
  options: { ...NAME_OPTION, interface: { type: 'string' }, count: { type: 'string' } },
  optionHelp: {
    ...NAME_HELP,
    interface: 'one interface (default: all)',
    count: 'end after this many packets',
  },
  positionals: [1, 1000],
  run: ([host = '', ...filter], options) => {
    const plan = requireLab(labName(options));
    const { count } = options;
    if (count !== undefined && !/^[1-9]\d{0,8}$/.test(String(count)))
      throw usageError(`--count: ${JSON.stringify(count)} is no number of packets`);
    const limit = count === undefined ? [] : ['-c', String(count)];
    const device = typeof options['interface'] === 'string' ? options['interface'] : 'any';
    return runInside(namespaceOf(plan, host), ['tcpdump', '-n', '-l', '-i', device, ...limit, ...filter]);
  },
};

function namespaceOf(plan: LabPlan, host: string): string {
  if (host === 'world') return plan.world.namespace;
  if (host === 'underlay') return plan.underlay.namespace;
  const pod = readPods(plan.options.name).find(({ name }) => name === host);
  return pod?.namespace ?? requireNode(plan, host).namespace;
}

function runInside(namespace: string, command: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn('nsenter', [`--net=${namespacePath(namespace)}`, '--', ...command], {
      stdio: 'inherit',
    });
    // The terminal sends an interrupt to the child too; this process waits for what it does with it.
    const ignore = () => undefined;
    process.on('SIGINT', ignore);
    child.on('error', (error) =>
      reject(new FairleadError('FL_LAB', `${command[0]} cannot be run: ${error.message}`)),
    );
    child.on('close', (status, signal) => {
      process.off('SIGINT', ignore);
      resolve(status ?? (signal === 'SIGINT' ? 130 : 1));
    });
  });
}
