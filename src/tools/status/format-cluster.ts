/** The agents of the whole cluster for people. */

import type { AgentReport } from '../../cluster/report/agent-report.ts';
import { isWell, type Member } from '../../cluster/report/members.ts';
import type { ClusterMembers } from '../../cluster/report/read-members.ts';
import { table } from './table.ts';

/** Characters of a generation that tell two apart. */
const SHORT = 8;

export function formatCluster({ generation, nodes, problems }: ClusterMembers): string {
  const rows = nodes.map((member) => {
    const { node, report } = member;
    return [
      node,
      describeAgent(member),
      report?.version ?? '-',
      report?.ranges.join(' ') || '-',
      report === undefined ? '-' : describePaths(report),
      String(report?.mtu ?? '-'),
      String(report?.pods ?? '-'),
      describeGeneration(member),
      report?.lastError?.at.replace(/\.\d+Z$/, 'Z') ?? '-',
    ];
  });
  const head = ['NODE', 'AGENT', 'VERSION', 'RANGES', 'PATHS', 'MTU', 'PODS', 'POLICIES', 'LAST ERROR'];
  const wrong = [
    ...nodes.flatMap((member) => problemsOf(member).map((text) => `  ${member.node}: ${text}`)),
    ...problems.map((text) => `  ${text}`),
  ];
  const well = nodes.filter(isWell).length;
  return [
    table(head, rows),
    `${well} of ${nodes.length} nodes are well; the policies are of generation ${generation.slice(0, SHORT)}.\n`,
    ...(wrong.length === 0 ? [] : [`\nProblems:\n${wrong.join('\n')}\n`]),
  ].join('');
}

/** One node, with all that its agent said. */
export function formatMember(member: Member): string {
  const { node, report, seenAt } = member;
  const facts: [string, string][] = [
    ['node', node],
    ['agent', `${describeAgent(member)}${seenAt === undefined ? '' : ` (last sign of life ${seenAt})`}`],
    ...(report === undefined ? [] : factsOf(report, member)),
  ];
  const width = Math.max(...facts.map(([name]) => name.length));
  const lines = facts.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
  const problems = problemsOf(member);
  const wrong =
    problems.length === 0 ? ['', 'No problems.'] : ['', 'Problems:', ...problems.map((text) => `  ${text}`)];
  return `${[...lines, ...wrong].join('\n')}\n`;
}

export function formatGenerations({ generation, nodes }: ClusterMembers): string {
  const rows = nodes.map((member) => [
    member.node,
    describeAgent(member),
    member.report?.policies?.slice(0, SHORT) ?? '-',
    member.policies,
  ]);
  const current = nodes.filter(({ agent, policies }) => agent === 'alive' && policies === 'current').length;
  return `${table(['NODE', 'AGENT', 'GENERATION', 'POLICIES'], rows)}${current} of ${nodes.length} nodes enforce generation ${generation.slice(0, SHORT)}, which the API has now.\n`;
}

function factsOf(report: AgentReport, member: Member): [string, string][] {
  const { version, ranges, pods, mtu, lastError } = report;
  return [
    ['version', version],
    ['pods', String(pods)],
    ['ranges', ranges.join(', ') || '-'],
    ['MTU of pods', String(mtu ?? '-')],
    ['paths', describePaths(report)],
    ['policies', describeGeneration(member)],
    ['last error', lastError === undefined ? 'none' : `${lastError.at}  ${lastError.text}`],
  ];
}

function describeAgent({ agent, seenAt, report }: Member): string {
  switch (agent) {
    case 'unheard':
      return 'never heard of';
    case 'silent':
      return `SILENT since ${seenAt?.replace(/\.\d+Z$/, 'Z')}`;
    case 'alive':
      return report?.ready === true ? 'ready' : 'not ready';
  }
}

function describeGeneration({ policies, report }: Member): string {
  return report?.policies === undefined ? policies : `${policies} (${report.policies.slice(0, SHORT)})`;
}

/** As in `12 direct, 1 vxlan, 1 silent`. */
function describePaths({ paths, silent }: AgentReport): string {
  const modes = Object.entries(paths).map(([mode, count]) => `${count} ${mode}`);
  return [...modes, ...(silent.count > 0 ? [`${silent.count} SILENT`] : [])].join(', ') || 'no peers';
}

function problemsOf({ agent, report }: Member): string[] {
  if (agent === 'unheard')
    return ['its agent never told how it is; look whether it runs there, and may write leases'];
  const gone =
    agent === 'silent'
      ? ['its agent is silent; look whether it runs (what it set up goes on, changes do not reach it)']
      : [];
  if (report === undefined) return gone;
  const { ready, message, problems, silent } = report;
  return [
    ...gone,
    ...(ready ? [] : [message]),
    ...problems,
    ...(silent.count > 0
      ? [
          `${silent.count} paths do not answer: to ${silent.peers.join(', ')}${silent.count > silent.peers.length ? ' …' : ''}`,
        ]
      : []),
  ];
}
