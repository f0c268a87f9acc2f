/** `fairlead lab api`, `fairlead lab api serve` and `fairlead lab kubeconfig`. */

import { type Command, EXIT } from '../../src/cli/command.ts';
import { labKubeconfig } from '../api-access.ts';
import { serveLabApi } from '../api-process.ts';
import { startApi } from '../api-start.ts';
import { requireLab } from '../state.ts';
import { labName, NAME_HELP, NAME_OPTION } from './options.ts';

export const labApiCommand: Command = {
  name: 'lab api',
  synopsis: '[--name NAME]',
  summary: 'Starts the Kubernetes API of a lab, which kubectl talks to; its objects outlive it.',
  options: NAME_OPTION,
  optionHelp: NAME_HELP,
  positionals: [0, 0],
  run: async (_, options) => {
    const name = labName(options);
    const outcome = await startApi(requireLab(name));
    process.stderr.write(
      outcome === 'new'
        ? `lab ${name}: its API serves; 'fairlead lab kubeconfig' prints how to reach it\n`
        : `lab ${name}: its API is up already\n`,
    );
    return EXIT.ok;
  },
};

export const labApiServeCommand: Command = {
  name: 'lab api serve',
  synopsis: '[--name NAME]',
  summary: "The process that 'lab api' starts.",
  options: NAME_OPTION,
  optionHelp: NAME_HELP,
  positionals: [0, 0],
  run: (_, options) => serveLabApi(labName(options)),
};

export const labKubeconfigCommand: Command = {
  name: 'lab kubeconfig',
  synopsis: '[--inside] [--name NAME]',
  summary: "Prints a kubeconfig for the API of a lab: who holds it runs commands as root in the lab's pods.",
  options: { ...NAME_OPTION, inside: { type: 'boolean' } },
  optionHelp: { ...NAME_HELP, inside: "for use in the lab's nodes and pods (default: on this machine)" },
  positionals: [0, 0],
  run: (_, options) => {
    const plan = requireLab(labName(options));
    process.stdout.write(labKubeconfig(plan, options['inside'] === true));
    return EXIT.ok;
  },
};
