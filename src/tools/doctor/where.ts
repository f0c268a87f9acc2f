/** Where an examination runs: what it finds is true there. */
import { readFileSync, readlinkSync } from 'node:fs';
import { broken, type Finding, fine } from './finding.ts';

export type Where = {
  node: string;
  /** As in `net:[4026531840]`. */
  network: string;
  /** Whether all processes of the machine are seen from here. */
  onHost: boolean;
  /** What is known of the agent's process, where it is seen from here. */
  agent: { known: true; network: string } | { known: false };
};

/** PROC_PID_INIT_INO (include/linux/proc_ns.h): the first namespace of processes, in which no container is. */
const FIRST_PIDS = 'pid:[4026531836]';

/** @param pid what the agent says that it is, in its own namespace of processes. */
export function lookAround(node: string, pid: number): Where {
  return {
    node,
    network: readlinkSync('/proc/self/ns/net'),
    onHost: readlinkSync('/proc/self/ns/pid') === FIRST_PIDS,
    agent: agentOf(pid),
  };
}

export function judgeWhere({ node, network, onHost, agent }: Where): Finding {
  const where = `node ${node}, network namespace ${network}, ${onHost ? 'on the host' : 'in a container'}`;
  if (!agent.known) return fine('here', `${where}; the agent's process is not seen from here`);
  return agent.network === network
    ? fine('here', `${where}, where the agent is`)
    : broken(
        'here',
        `${where}, but the agent is in ${agent.network}: what follows is not true of its node`,
        'run it in the network namespace of the agent: nsenter --net=/proc/PID/ns/net with the PID of fairlead status',
      );
}

/** Another process may have its number here. */
function agentOf(pid: number): Where['agent'] {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    if (!words.includes('agent') || !words.some((word) => /fairlead/.test(word))) return { known: false };
    return { known: true, network: readlinkSync(`/proc/${pid}/ns/net`) };
  } catch {
    return { known: false };
  }
}
