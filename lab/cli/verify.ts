/** `fairlead lab verify`. */

import { type Command, EXIT } from '../../src/cli/command.ts';
import { requireLab } from '../state.ts';
import { familiesOf } from '../topology.ts';
import { formatProof, formatVerdict, verifyLab } from '../verify/verify.ts';
import { labName, NAME_HELP, NAME_OPTION, parseFamily } from './options.ts';

export const labVerifyCommand: Command = {
  name: 'lab verify',
  synopsis: '[--name NAME] [--family ipv4|ipv6|dual] [--json]',
  summary:
    'Proves with real packets that the pod network does what Kubernetes asks; fails with the reasons where it does not.',
  options: { ...NAME_OPTION, family: { type: 'string' }, json: { type: 'boolean' } },
  optionHelp: {
    ...NAME_HELP,
    family: 'which addresses to prove: ipv4, ipv6 or dual (default: all that the lab has)',
    json: 'the report as JSON on standard output',
  },
  positionals: [0, 0],
  run: async (_, options) => {
    const json = options['json'] === true;
    const plan = requireLab(labName(options));
    const family = parseFamily(options, plan.options.family);
    const report = await verifyLab(plan, familiesOf({ family }), (proof) => {
      if (!json) process.stdout.write(`${formatProof(proof)}\n`);
    });
    process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : `${formatVerdict(report)}\n`);
    return report.ok ? EXIT.ok : EXIT.failed;
  },
};
