/** An agent's status for people: what it serves, how it reaches whom, and what is wrong. */

import type { AgentStatus, PathProbes } from '../../agent/serve/status.ts';
import { describeSpoofDrops } from '../../datapath/nftables/spoofed.ts';
import type { Path } from '../../plan/overlay/path.ts';
import { table } from './table.ts';

/** Beyond this many peers they are counted instead of listed. */
const MOST_LISTED = 20;

export function formatStatus(status: AgentStatus): string {
  const { node, version, pid, startedAt, readiness, backend, underlays, peers, attachments, problems } =
    status;
  const view = readiness.ready ? readiness.view : undefined;
  const facts: [string, string][] = [
    ['node', `${node}  (fairlead ${version}, agent ${pid}, since ${startedAt})`],
    [
      'pods',
      readiness.ready ? `can start; ${attachments.length} attached` : `cannot start: ${readiness.reason}`,
    ],
    ['ranges', view?.ranges.join(', ') ?? '-'],
    ['MTU of pods', String(view?.mtu ?? '-')],
    [
      'underlay',
      underlays.map((one) => `${one.interface} ${one.address} (MTU ${one.mtu})`).join(', ') || '-',
    ],
    ['backend', `${backend}: ${countPaths(status)}`],
    ['policies', describePolicies(status)],
    ['services', describeServices(status)],
    ['spoofed', describeSpoofDrops(status.spoofDrops)],
    ['last resync', describeResync(status)],
    ['last error', describeError(status)],
    [
      'event loop',
      `at most ${status.eventLoopDelay.max} ms late, 99 % within ${status.eventLoopDelay.p99} ms`,
    ],
  ];
  const width = Math.max(...facts.map(([name]) => name.length));
  const lines = facts.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
  const rows = silentFirst(peers)
    .slice(0, MOST_LISTED)
    .flatMap(({ name, internalIps, ranges, paths }) =>
      (paths.length === 0 ? [undefined] : paths).map((one) => [
        name,
        internalIps.join(' ') || '-',
        ranges.join(' ') || '-',
        one === undefined ? 'no range yet' : describePath(one.path),
        describeProbes(one?.probes),
      ]),
    );
  const listed =
    rows.length === 0 ? [] : ['', table(['PEER', 'ADDRESS', 'RANGES', 'PATH', 'ANSWER'], rows).trimEnd()];
  const more =
    peers.length > MOST_LISTED ? [`… and ${peers.length - MOST_LISTED} more; -o json has all`] : [];
  const wrong =
    problems.length === 0 ? ['', 'No problems.'] : ['', 'Problems:', ...problems.map((text) => `  ${text}`)];
  return `${[...lines, ...listed, ...more, ...wrong].join('\n')}\n`;
}

/** As in `direct via 192.168.1.3`. */
export function describePath(path: Path): string {
  switch (path.mode) {
    case 'direct':
      return `direct via ${path.gateway}`;
    case 'vxlan':
      return `VXLAN to ${path.endpoint}`;
    case 'none':
      return `none: ${path.reason}`;
  }
}

function silentFirst(peers: AgentStatus['peers']): AgentStatus['peers'] {
  const answers = ({ paths }: AgentStatus['peers'][number]) =>
    paths.every(({ probes }) => probes?.answers !== false);
  return peers.toSorted((a, b) => Number(answers(a)) - Number(answers(b)));
}

/** As in `0.31 ms at 12:00:59`. */
function describeProbes(probes: PathProbes | undefined): string {
  if (probes === undefined) return '-';
  const { answers, rttSeconds, answeredAt, silentSince } = probes;
  if (!answers) return `none since ${silentSince}`;
  if (answeredAt === undefined) return 'none yet';
  const took = rttSeconds === undefined ? '' : `${(rttSeconds * 1000).toFixed(2)} ms `;
  return `${took}at ${answeredAt.slice(11, 19)}`;
}

/** Agents before this one tell nothing of services. */
function describeServices({ services }: Partial<Pick<AgentStatus, 'services'>>): string {
  if (services === undefined) return 'not told';
  if (!services.serving) return `not served here: ${services.why ?? 'not known why'}`;
  return `${services.services} served, with ${services.endpoints} endpoints (services.mode ${services.mode})`;
}

function describePolicies({ policy }: AgentStatus): string {
  if (policy === undefined) return 'none: the nodes come from a directory';
  if (policy.enforced === undefined) return policy.synced ? 'not in force yet' : 'not known yet';
  return `${policy.policies} in force, generation ${policy.enforced.policies}, ${policy.isolated} pods isolated`;
}

function describeError({ lastError }: AgentStatus): string {
  return lastError === undefined ? 'none' : `${lastError.at}  ${lastError.text}`;
}

function countPaths({ peers }: AgentStatus): string {
  const modes = peers.flatMap(({ paths }) => paths.map(({ path }) => path.mode));
  const groups = [...Map.groupBy(modes, (mode) => mode)];
  return groups.map(([mode, group]) => `${group.length} ${mode}`).join(', ') || 'no peers';
}

function describeResync({ lastResync }: AgentStatus): string {
  if (lastResync === undefined) return 'none yet';
  const { at, milliseconds, operations, reasons } = lastResync;
  return `${at}, ${milliseconds} ms, ${operations} operations (${reasons.join(', ')})`;
}
