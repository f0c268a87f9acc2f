/** The command line of Fairlead. */
import { agentCommand } from '../../src/cli/agent.ts';
import { runCommandLine } from '../../src/cli/command.ts';
import { versionCommand } from '../../src/cli/version.ts';

process.exitCode = await runCommandLine(process.argv.slice(2), [agentCommand, versionCommand]);
