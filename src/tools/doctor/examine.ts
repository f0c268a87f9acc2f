/** All examinations of a node, in the order in which a fault of one explains those behind it. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { promisify } from 'node:util';
import type { AgentStatus } from '../../agent/serve/status.ts';
import type { Cidr } from '../../base/ip/cidr.ts';
import { VXLAN_LINKS } from '../../edge/marks/marks.ts';
import type { Kernel } from '../../edge/netlink/kernel.ts';
import { MAIN_TABLE } from '../../edge/netlink/objects.ts';
import { closedChains } from '../../edge/nftables/forward-chains.ts';
import { broken, type Finding, fine } from './finding.ts';
import { examineForwarded, untried } from './forwarded.ts';
import { judgePath, type PeerRange, peerRanges, probesOf } from './paths.ts';
import { send } from './prober.ts';
import { examineRuntime } from './runtime.ts';
import { judgeFirewalls, judgeForwarding, judgeKernel, judgeOverlaps, judgeReversePath } from './settings.ts';
import { judgeSpoofed } from './spoofed.ts';
import { judgeWhere, lookAround } from './where.ts';

export type Patient = {
  status: AgentStatus;
  kernel: Kernel;
  podNetwork: readonly Cidr[];
  /** Of the agent, for plugins. */
  cniSocket: string;
  /** Whether pods carry the node's address outside. */
  masquerades: boolean;
  /** Folders of the container runtime; not looked at where absent. */
  runtime?: { plugins: string; networks: string };
};

const WHERE_THE_AGENT_RUNS =
  'run it where the agent runs, in a pod of the DaemonSet: kubectl -n fairlead exec POD -- fairlead doctor --config FILE';
const run = promisify(execFile);
/** Of a ruleset's text: that of kube-proxy for 10,000 services has 20 MB. */
const MOST_BYTES = 1 << 28;
const FORWARDING = ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding'] as const;

/**
 * @param tell called with each finding as it is made.
 * @returns whether packets went through the node as those of pods do: without that it is not known whether they pass.
 */
export async function examine(
  { status, kernel, podNetwork, cniSocket, masquerades, runtime }: Patient,
  tell: (finding: Finding) => void,
): Promise<{ forwarded: boolean }> {
  const where = lookAround(status.node, status.pid);
  tell(judgeWhere(where));
  tell(judgeKernel(release()));
  tell(judgeReadiness(status));
  tell(judgeSpoofed(status.spoofDrops));
  for (const problem of status.problems) tell(broken('the agent says', problem, 'as it says'));
  const families = podNetwork.some((range) => range.includes(':')) ? FORWARDING : FORWARDING.slice(0, 1);
  judgeForwarding(Object.fromEntries(families.map((name) => [name, readSysctl(name)]))).forEach(tell);
  const links = kernel.links();
  const carriers = links.filter(
    ({ name }) => name === VXLAN_LINKS[4] || status.underlays.some((one) => one.interface === name),
  );
  const names = new Map(carriers.map(({ index, name }) => [index, name]));
  judgeReversePath(names, kernel.networkConfigurations()).forEach(tell);
  const loopback = links.find((link) => link.loopback)?.index ?? 1;
  const allNames = new Map(links.map(({ index, name }) => [index, name]));
  const localIps = kernel.addresses().map(({ ip }) => ip);
  const routes = kernel.routes({ table: MAIN_TABLE });
  judgeOverlaps(routes, podNetwork, loopback, allNames, localIps).forEach(tell);
  if (runtime !== undefined) examineRuntime(runtime.plugins, runtime.networks).forEach(tell);
  const peers: (PeerRange & { answers: boolean })[] = [];
  const { readiness } = status;
  for (const range of readiness.ready ? peerRanges(status.peers) : []) {
    const mtu = readiness.ready ? readiness.view.mtu : 0;
    const answers = await send(probesOf(range, mtu));
    tell(judgePath(range, answers, mtu));
    if (range.path.mode !== 'none') peers.push({ ...range, answers: answers.some(({ ok }) => ok) });
  }
  const { findings, tried } = !readiness.ready
    ? { findings: [untried(`the node takes no pods: ${readiness.reason}`)], tried: false }
    : !where.agent.known
      ? {
          findings: [untried('the agent would not find a namespace of this process', WHERE_THE_AGENT_RUNS)],
          tried: false,
        }
      : await examineForwarded({ view: readiness.view, kernel, cniSocket, peers, masquerades });
  findings.forEach(tell);
  const passed = tried && findings.every(({ verdict }) => verdict !== 'broken');
  const { stdout: ruleset } = await run('nft', ['--stateless', '--terse', 'list', 'ruleset'], {
    maxBuffer: MOST_BYTES,
  });
  judgeFirewalls(closedChains(ruleset), passed).forEach(tell);
  return { forwarded: tried };
}

function judgeReadiness({ readiness }: AgentStatus): Finding {
  return readiness.ready
    ? fine('the node', `takes pods from ${readiness.view.ranges.join(', ')}`)
    : broken('the node', 'takes no pods', readiness.reason);
}

function readSysctl(name: string): string | undefined {
  const path = `/proc/sys/${name.replaceAll('.', '/')}`;
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined;
}
