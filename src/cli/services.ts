/** `fairlead services`. */
import type { ServicesAnswer } from '../agent/services/explain.ts';
import { FairleadError } from '../base/errors/errors.ts';
import { formatService } from '../plan/service/explain.ts';
import { AGENT_HELP, AGENT_OPTIONS, AGENT_SYNOPSIS, findAgents, openAccess } from './agent-access.ts';
import { type Command, EXIT } from './command.ts';
import { OUTPUT_HELP, OUTPUT_OPTION, print } from './output.ts';

export const servicesCommand: Command = {
  name: 'services',
  synopsis: `[NAMESPACE/NAME] ${AGENT_SYNOPSIS} [-o json]`,
  summary:
    'Services as a node serves them: by which addresses they are reached, and of each endpoint whether connections go there, or why not.',
  options: { ...AGENT_OPTIONS, ...OUTPUT_OPTION },
  optionHelp: { ...AGENT_HELP, ...OUTPUT_HELP },
  positionals: [0, 1],
  run: async ([name], options) => {
    const [agent] = await findAgents(openAccess(options));
    const wanted = name === undefined || name.includes('/') ? name : `default/${name}`;
    const query = wanted === undefined ? '' : `?name=${encodeURIComponent(wanted)}`;
    const answer = (await agent!.ask(`/services${query}`)) as ServicesAnswer;
    if ('error' in answer) throw new FairleadError('FL_AGENT', answer.error);
    print(options, answer, ({ services }) =>
      services.length === 0 ? 'The cluster has no services.\n' : services.map(formatService).join(''),
    );
    return EXIT.ok;
  },
};
