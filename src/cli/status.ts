/** `fairlead status`. */
import { askStatus } from '../status/ask.ts';
import { formatStatus } from '../status/format.ts';
import { type Command, EXIT, usageError } from './command.ts';

export const DEFAULT_SOCKET = '/run/fairlead/api.sock';

export const statusCommand: Command = {
  name: 'status',
  synopsis: '[--socket PATH] [-o json]',
  summary:
    'Shows what the agent of this node serves, how it reaches every other node, and what is wrong. Fails when something is.',
  options: { socket: { type: 'string' }, output: { type: 'string', short: 'o' } },
  optionHelp: {
    socket: `the agent's socket (default ${DEFAULT_SOCKET})`,
    output: 'json: everything, for programs',
  },
  positionals: [0, 0],
  run: async (_, { socket, output }) => {
    if (output !== undefined && output !== 'json')
      throw usageError(`--output: ${JSON.stringify(output)} does not fit; use json`);
    const status = await askStatus(typeof socket === 'string' ? socket : DEFAULT_SOCKET);
    process.stdout.write(output === 'json' ? `${JSON.stringify(status, null, 2)}\n` : formatStatus(status));
    return status.readiness.ready && status.problems.length === 0 ? EXIT.ok : EXIT.failed;
  },
};
