/** The answer to why as commands show it: of one agent, or of the two whose nodes enforce the sides. */
import type { AsOf, Route, RoutedAnswer, WhyAnswer } from '../../agent/serve/why.ts';
import { formatReason } from '../../plan/flow/flow-record.ts';
import { formatAnswer } from '../../plan/policy/answer/format-why.ts';
import { nodeOf } from '../../plan/policy/answer/place.ts';
import { type Answer, decideBoth, type ServiceAnswer } from '../../plan/policy/answer/why.ts';
import { describePath } from './format.ts';

export type Newer = { node: string; policies: string; pods: string; answers: readonly Answer[] };

export type WhyResult = {
  answers: readonly RoutedAnswer[];
  service?: ServiceAnswer;
  /** Of each agent that was asked. */
  asOf: readonly AsOf[];
  /** Of those whose cluster has a newer state. */
  newer: readonly Newer[];
};

export function resultOf({ answers, service, asOf, newer }: WhyAnswer): WhyResult {
  return {
    answers,
    ...(service === undefined ? {} : { service }),
    asOf: [asOf],
    newer: newer === undefined ? [] : [{ node: asOf.node, ...newer }],
  };
}

/** On which node the policies of the destination are asked. */
export function ingressNodeOf({ translated, destinationPlace }: Answer): string | undefined {
  return translated?.node ?? nodeOf(destinationPlace);
}

/** Puts the side of the destination in, as the agent of its node has it in force. */
export function withIngress(result: WhyResult, other: WhyAnswer): WhyResult {
  const answers = result.answers.map((answer): RoutedAnswer => {
    const there = other.answers.find(
      ({ family, destination }) => family === answer.family && destination === answer.destination,
    );
    if (there === undefined || ingressNodeOf(answer) !== other.asOf.node) return answer;
    const isReachable = answer.verdict !== 'unreachable' && there.verdict !== 'unreachable';
    const { direction: _, policies: __, translated: ___, ...rest } = answer;
    return {
      ...rest,
      destinationPlace: there.destinationPlace,
      ...(there.translated === undefined ? {} : { translated: there.translated }),
      ...decideBoth(isReachable, answer.egress, there.ingress),
    };
  });
  const more = resultOf(other);
  return {
    ...result,
    answers,
    asOf: [...result.asOf, ...more.asOf],
    newer: [...result.newer, ...more.newer],
  };
}

export function formatWhy({ answers, service, asOf, newer }: WhyResult): string {
  const parts = answers.map((answer) => {
    const { route } = answer;
    const path = route === undefined ? [] : [`  path    ${formatRoute(route)}`];
    return [formatAnswer(answer, service, answers.length > 1), ...path].join('\n');
  });
  const asked = asOf
    .map(({ node, since, policies, pods }) => `${node} since ${since} (policies ${policies}, pods ${pods})`)
    .join('; ');
  const unasked = [
    ...new Set(answers.map(ingressNodeOf).filter((node) => !asOf.some((one) => one.node === node))),
  ].flatMap((node) => (node === undefined ? [] : [node]));
  return `${[
    ...parts,
    `  as of   what is in force on node ${asked}`,
    ...unasked.map(
      (node) =>
        `  ingress as the cluster has it: what is in force on node ${node} says its agent (--node ${node})`,
    ),
    ...newer.map((one) => `  newer   ${formatNewer(one, answers)}`),
  ].join('\n')}\n`;
}

function formatNewer({ node, answers }: Newer, before: readonly Answer[]): string {
  const changes = answers.flatMap(({ family, verdict, reason }) => {
    const was = before.find((one) => one.family === family)?.verdict;
    if (was === verdict) return [];
    const why = reason === undefined ? '' : `: ${formatReason(reason)}`;
    return [`IPv${family} will be ${verdict}${why}`];
  });
  const then = changes.length === 0 ? 'the answer stays' : changes.join('; ');
  return `the cluster has a newer state, which is not in force on node ${node} yet: ${then}`;
}

function formatRoute(route: Route): string {
  switch (route.by) {
    case 'itself':
      return 'to this node itself';
    case 'interface':
      return `on this node, by its interface ${route.interface}`;
    case 'peer':
      return `to node ${route.node}: ${route.path === undefined ? 'no path yet' : describePath(route.path)}`;
    case 'underlay':
      return `to node ${route.node}: by its own address, outside of the pod network`;
    case 'masquerade':
      return 'out of the cluster, with the address of the node';
  }
}
