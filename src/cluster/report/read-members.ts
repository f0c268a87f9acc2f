/** Asks the API for the nodes, for what their agents say of themselves, and for the generation of the policies. */
import type { KubeClient } from '../../edge/kubernetes/client.ts';
import { readKind } from '../../edge/kubernetes/read-kind.ts';
import { readPoliciesDigest } from '../../tools/manifests/policy-view.ts';
import { NODE_KIND } from '../kinds/node.ts';
import { AGENT_KIND } from './agent-record.ts';
import { type Member, membersOf } from './members.ts';

export type ClusterMembers = {
  /** Digest of the policies that the API has. */
  generation: string;
  nodes: readonly Member[];
  /** Records that cannot be read, one sentence each. */
  problems: readonly string[];
};

/** @throws ApiError where the API does not give them. */
export async function readMembers(client: KubeClient): Promise<ClusterMembers> {
  const [generation, nodes, records] = await Promise.all([
    readPoliciesDigest(client),
    readKind(client, NODE_KIND),
    readKind(client, AGENT_KIND),
  ]);
  const names = nodes.objects.map(({ name }) => name);
  return {
    generation,
    nodes: membersOf(names, records.objects, generation, client.serverTimeMs).toSorted((a, b) =>
      a.node.localeCompare(b.node, 'en', { numeric: true }),
    ),
    problems: [...nodes.problems, ...records.problems],
  };
}
