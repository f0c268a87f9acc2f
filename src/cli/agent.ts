/** `fairlead agent`: runs until it is told to stop. What it programmed stays: stopping an agent cuts no pod off. */
import { type Command, EXIT, usageError } from './command.ts';

export const agentCommand: Command = {
  name: 'agent',
  synopsis: '--config FILE',
  summary: 'Runs the agent of this node. It stops at SIGTERM; what it programmed into the kernel stays.',
  options: { config: { type: 'string' } },
  optionHelp: { config: 'the configuration file; docs/configuration.md lists its keys' },
  positionals: [0, 0],
  run: async (_, { config }) => {
    if (typeof config !== 'string')
      throw usageError('agent: name the configuration file: fairlead agent --config FILE');
    const [{ startAgent }, { configurationFile, openEdges }] = await Promise.all([
      import('../agent/agent.ts'),
      import('../agent/edges.ts'),
    ]);
    using edges = openEdges();
    const agent = await startAgent(edges, configurationFile(config));
    const signal = await new Promise<string>((resolve) => {
      for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve(name));
    });
    agent.log.info('the agent stops; pods keep their network', { signal });
    await agent.stop();
    return EXIT.ok;
  },
};
