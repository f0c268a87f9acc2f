/** `fairlead agent ask`: what commands elsewhere run beside an agent. */
import { followAgent, readAgent } from '../tools/status/ask.ts';
import { socketOf } from './agent-access.ts';
import { type Command, EXIT } from './command.ts';

export const agentAskCommand: Command = {
  name: 'agent ask',
  synopsis: 'PATH [--follow] [--config FILE | --socket PATH]',
  summary: 'Prints what the agent of this node answers, as JSON: /status, /why?…, /drops, /flows.',
  options: { config: { type: 'string' }, socket: { type: 'string' }, follow: { type: 'boolean' } },
  optionHelp: {
    config: 'the configuration file of the agent, which says where its socket is',
    socket: "the agent's socket",
    follow: 'line by line, until interrupted',
  },
  positionals: [1, 1],
  run: async ([path = ''], options) => {
    const socket = socketOf(options);
    if (options['follow'] === true)
      await followAgent(socket, path, (line) => process.stdout.write(`${line}\n`));
    else process.stdout.write(`${await readAgent(socket, path)}\n`);
    return EXIT.ok;
  },
};
