/** What an agent answers to why: from the state that it has in force, as of when, and whether the cluster says more. */

import { describeError } from '../../base/errors/errors.ts';
import { type Cidr, cidrContains, cidrPrefixLength } from '../../base/ip/cidr.ts';
import { runSliced } from '../../base/run/sliced.ts';
import type { PolicySource, PolicyState, PolicyVersions } from '../../cluster/policy-source.ts';
import { TUNNEL_RULE_PRIORITY } from '../../edge/marks/marks.ts';
import type { Kernel } from '../../edge/netlink/kernel.ts';
import { MAIN_TABLE } from '../../edge/netlink/objects.ts';
import type { Path } from '../../plan/overlay/path.ts';
import { hostLinkName } from '../../plan/pod/attachment.ts';
import { type Known as KnownEnds, mayBeService } from '../../plan/policy/answer/ends.ts';
import { openJudge } from '../../plan/policy/answer/judge.ts';
import { type LocalView, nodeOf } from '../../plan/policy/answer/place.ts';
import {
  type Answer,
  answerFlow,
  concernedBy,
  type Explanation,
  type Question,
  traceFlow,
} from '../../plan/policy/answer/why.ts';
import type { Attached, Here } from '../../plan/policy/compile/node.ts';
import type { InForce } from '../datapath/policy-enforcer.ts';
import { type AttachmentTable, describeUnknown, type LiveAttachment } from '../node/attachments.ts';
import type { NodeNetwork } from '../node/network.ts';

/** How the answering node sends it. */
export type Route =
  | { by: 'itself' }
  | { by: 'interface'; interface: string }
  /** Absent: none yet. */
  | { by: 'peer'; node: string; path?: Path }
  /** By the address of the node, outside of the pod network. */
  | { by: 'underlay'; node: string }
  /** With the address of this node. */
  | { by: 'masquerade' };

/** An answer, with the way that packets take from this node where they begin here. */
export type RoutedAnswer = Answer & { route?: Route };

/** Of which state of the cluster it is; digests as `fairlead policy status` shows them. */
export type AsOf = PolicyVersions & { node: string; since: string };

export type WhyAnswer = Omit<Explanation, 'answers'> & {
  answers: readonly RoutedAnswer[];
  asOf: AsOf;
  /** The cluster has a newer state that is not in force here yet: what will be answered then. */
  newer?: PolicyVersions & { answers: readonly Answer[] };
};

export type WhyKnown = {
  node: string;
  source: PolicySource;
  inForce: () => InForce;
  kernel: Pick<Kernel, 'addresses' | 'routes' | 'rules'>;
  table: AttachmentTable;
  podNetwork: () => readonly Cidr[];
  reached: () => NodeNetwork['reached'];
};

/** @throws Error with the cure, where the question does not fit or the answer is not known. */
export async function explainWhy(known: WhyKnown, question: Question): Promise<WhyAnswer> {
  const { source, table } = known;
  const inForce = known.inForce();
  if (!inForce.known)
    throw new Error(
      `what is in force on node ${known.node} is not known since ${inForce.since}: ${inForce.why}`,
    );
  const { now } = table;
  if (!now.known) throw new Error(`node ${known.node}: ${describeUnknown(now)}`);
  const live = [...now.live.values()];
  const { state, since, attached, here } = inForce;
  const places = await placesFor(known, live, question, state);
  const current = await explain(places, question, state, attached, here);
  const latest = source.now.known ? source.now.state : undefined;
  const later =
    latest === undefined || latest === state
      ? undefined
      : await explain({ ...places, pods: latest.pods }, question, latest, live, {
          name: known.node,
          ips: known.kernel.addresses().map(({ ip }) => ip),
        });
  return {
    ...current,
    answers: current.answers.map((answer) => withRoute(answer, routeOf(known, live, answer))),
    asOf: { node: known.node, since, policies: state.versions.policies, pods: state.versions.pods },
    ...(latest === undefined || later === undefined
      ? {}
      : {
          newer: {
            policies: latest.versions.policies,
            pods: latest.versions.pods,
            answers: later.answers,
          },
        }),
  };
}

async function placesFor(
  known: WhyKnown,
  live: readonly LiveAttachment[],
  question: Question,
  state: PolicyState,
): Promise<KnownEnds> {
  const { node, source, kernel } = known;
  const places = {
    local: {
      node,
      addresses: kernel.addresses(),
      attached: live,
      ...readRouting(kernel),
    },
    pods: state.pods,
    nodes: [...source.nodes()],
    podNetwork: known.podNetwork(),
  };
  const asks = [question.source, question.destination].some((end) => mayBeService(places, end));
  return { ...places, services: asks ? await readServices(source) : [] };
}

/** Asked last of all; it is empty on most machines. */
const DEFAULT_TABLE = 253;
/** Tables of the kernel itself are asked at these; a rule of another may send a packet anywhere. */
const USUAL_RULES: ReadonlySet<number> = new Set([0, 32_766, 32_767, TUNNEL_RULE_PRIORITY]);

function readRouting(kernel: WhyKnown['kernel']): Pick<LocalView, 'isRouted'> {
  if (kernel.rules().some(({ priority }) => !USUAL_RULES.has(priority))) return {};
  return {
    isRouted: (ip) => {
      const fitting = [MAIN_TABLE, DEFAULT_TABLE]
        .flatMap((table) => kernel.routes({ table }))
        .filter(({ destination }) => cidrContains(destination, ip));
      const longest = Math.max(...fitting.map(({ destination }) => cidrPrefixLength(destination)));
      return fitting.some(
        ({ destination, type }) =>
          cidrPrefixLength(destination) === longest && (type === 'unicast' || type === 'other'),
      );
    },
  };
}

async function explain(
  places: KnownEnds,
  question: Question,
  state: PolicyState,
  attached: readonly Attached[],
  node: Here,
): Promise<Explanation> {
  const asked = traceFlow(places, question);
  return answerFlow(asked, await runSliced(openJudge(state, attached, node, concernedBy(asked))));
}

/** An API that does not answer leaves all other questions answered. */
async function readServices(source: PolicySource): Promise<NonNullable<KnownEnds['services']>> {
  try {
    return await source.readServices();
  } catch (error) {
    return { problem: describeError(error) };
  }
}

/** Without a path to the node of a pod nothing gets there, whatever policies say. */
function withRoute(answer: Answer, { route }: { route?: Route }): RoutedAnswer {
  if (route === undefined) return answer;
  const isLost = route.by === 'peer' && (route.path === undefined || route.path.mode === 'none');
  return { ...answer, ...(isLost ? { verdict: 'unreachable' } : {}), route };
}

/** Nothing where packets begin elsewhere, or lead nowhere. */
function routeOf(known: WhyKnown, live: readonly LiveAttachment[], answer: Answer): { route?: Route } {
  const { sourcePlace, destinationPlace: place, verdict, translated } = answer;
  if (nodeOf(sourcePlace) !== known.node || verdict === 'unreachable') return {};
  const here = translated?.node === known.node ? translated.ip : answer.destination;
  const attachment = live.find(({ ips }) => ips.includes(here));
  if (attachment !== undefined) return { route: { by: 'interface', interface: hostLinkName(attachment) } };
  if (place.at === 'loopback' || (place.at === 'node' && place.node === known.node))
    return { route: { by: 'itself' } };
  for (const { peer, paths } of known.reached().overlay?.peers ?? []) {
    const path = paths.find(({ family }) => family === answer.family)?.path;
    const isInside = peer.podCidrs.some((range) => cidrContains(range, answer.destination));
    // What pods send to a node behind the tunnel goes through it too.
    const isTunnelled = path?.mode === 'vxlan' && path.over === answer.family && sourcePlace.at === 'pod';
    if (isInside || (isTunnelled && peer.internalIps.includes(answer.destination)))
      return { route: { by: 'peer', node: peer.name, ...(path === undefined ? {} : { path }) } };
  }
  return { route: place.at === 'node' ? { by: 'underlay', node: place.node } : { by: 'masquerade' } };
}
