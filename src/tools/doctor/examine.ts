/** All examinations of a node, in the order in which a fault of one explains those behind it. */
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import type { AgentStatus } from '../../agent/serve/status.ts';
import type { Cidr } from '../../base/ip/cidr.ts';
import { VXLAN_LINKS } from '../../edge/marks/marks.ts';
import type { Kernel } from '../../edge/netlink/kernel.ts';
import { MAIN_TABLE } from '../../edge/netlink/objects.ts';
import { openNftables } from '../../edge/nftables/nft.ts';
import { broken, type Finding, fine } from './finding.ts';
import { judgePath, peerRanges, probesOf } from './paths.ts';
import { send } from './prober.ts';
import { examineRuntime } from './runtime.ts';
import { judgeFirewalls, judgeForwarding, judgeKernel, judgeOverlaps, judgeReversePath } from './settings.ts';

export type Patient = {
  status: AgentStatus;
  kernel: Kernel;
  podNetwork: readonly Cidr[];
  /** Folders of the container runtime; not looked at where absent. */
  runtime?: { plugins: string; networks: string };
};

const FORWARDING = ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding'] as const;

/** @param tell called with each finding as it is made. */
export async function examine(
  { status, kernel, podNetwork, runtime }: Patient,
  tell: (finding: Finding) => void,
): Promise<void> {
  tell(judgeKernel(release()));
  tell(judgeReadiness(status));
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
  judgeOverlaps(kernel.routes({ table: MAIN_TABLE }), podNetwork, loopback, allNames).forEach(tell);
  judgeFirewalls(await openNftables().baseChains()).forEach(tell);
  if (runtime !== undefined) examineRuntime(runtime.plugins, runtime.networks).forEach(tell);
  if (!status.readiness.ready) return;
  const { mtu } = status.readiness.view;
  for (const range of peerRanges(status.peers)) tell(judgePath(range, await send(probesOf(range, mtu)), mtu));
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
