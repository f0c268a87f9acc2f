/** The command line of Fairlead. */

import { labApiCommand, labApiServeCommand, labKubeconfigCommand } from '../../lab/cli/api.ts';
import { labDnsServeCommand } from '../../lab/cli/dns.ts';
import { labDownCommand } from '../../lab/cli/down.ts';
import { captureCommand, labExecCommand, nodeExecCommand } from '../../lab/cli/exec.ts';
import { labMapCommand } from '../../lab/cli/map.ts';
import { podAddCommand, podRemoveCommand } from '../../lab/cli/pod.ts';
import { labListCommand, labStatusCommand } from '../../lab/cli/status.ts';
import { labTestCommand } from '../../lab/cli/test.ts';
import { labUpCommand } from '../../lab/cli/up.ts';
import { labVerifyCommand } from '../../lab/cli/verify.ts';
import { agentCommand } from '../../src/cli/agent.ts';
import { agentAskCommand } from '../../src/cli/agent-ask.ts';
import { cleanupCommand } from '../../src/cli/cleanup.ts';
import { runCommandLine } from '../../src/cli/command.ts';
import { doctorCommand } from '../../src/cli/doctor.ts';
import { dropsCommand } from '../../src/cli/drops.ts';
import { installCommand } from '../../src/cli/install.ts';
import { policyCheckCommand } from '../../src/cli/policy/check.ts';
import { policyDiffCommand } from '../../src/cli/policy/diff.ts';
import { policyMatrixCommand } from '../../src/cli/policy/matrix.ts';
import { policyStatusCommand } from '../../src/cli/policy/status.ts';
import { statusCommand } from '../../src/cli/status.ts';
import { versionCommand } from '../../src/cli/version.ts';
import { whyCommand } from '../../src/cli/why.ts';

process.exitCode = await runCommandLine(process.argv.slice(2), [
  agentCommand,
  agentAskCommand,
  statusCommand,
  doctorCommand,
  whyCommand,
  dropsCommand,
  installCommand,
  policyMatrixCommand,
  policyDiffCommand,
  policyCheckCommand,
  policyStatusCommand,
  cleanupCommand,
  labUpCommand,
  labDownCommand,
  labStatusCommand,
  labListCommand,
  labVerifyCommand,
  labTestCommand,
  labMapCommand,
  podAddCommand,
  podRemoveCommand,
  labExecCommand,
  nodeExecCommand,
  captureCommand,
  labApiCommand,
  labApiServeCommand,
  labKubeconfigCommand,
  labDnsServeCommand,
  versionCommand,
]);
