/**
 * What an agent says of itself to whoever asks the cluster: a Lease (coordination.k8s.io/v1) of its own, as kubelets
 * have one, with the report in annotations. Nothing is decided from it: if anybody wipes it, it is written anew.
 */

import { type Fields, fieldsAt, textAt } from '../kube/kinds/fields.ts';
import { leasePath, microTime } from '../kube/kinds/lease.ts';
import { type Kind, type KubeObject, readMetadata, type Trimmed } from '../kube/kinds/object.ts';
import type { AgentReport } from './agent-report.ts';

/** The agent as it was when it last gave a sign of life. */
export type AgentRecord = KubeObject & AgentReport & { node: string /** RFC 3339. */; seenAt: string };

export const AGENT_NAMESPACE = 'kube-system';
const LABEL = 'fairlead.io/agent';
const ANNOTATION = {
  version: 'fairlead.io/version',
  ready: 'fairlead.io/ready',
  message: 'fairlead.io/message',
  problems: 'fairlead.io/problems',
  policies: 'fairlead.io/policies',
} as const;
/** Characters of one text. */
const LONGEST_TEXT = 1000;

export const AGENT_KIND: Kind<AgentRecord> = {
  name: 'agent lease',
  path: leasePath(AGENT_NAMESPACE),
  query: { labelSelector: `${LABEL}=true` },
  trim: trimAgent,
};

export function agentLeaseName(node: string): string {
  return `fairlead-agent-${node}`;
}

/** @param renewSeconds after which the agent gives its next sign of life. */
export function leaseOfAgent(node: string, report: AgentReport, renewSeconds: number, now: Date): object {
  const { version, ready, message, problems, policies } = report;
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {
      name: agentLeaseName(node),
      namespace: AGENT_NAMESPACE,
      labels: { [LABEL]: 'true' },
      annotations: {
        [ANNOTATION.version]: version,
        [ANNOTATION.ready]: String(ready),
        [ANNOTATION.message]: message.slice(0, LONGEST_TEXT),
        [ANNOTATION.problems]: JSON.stringify(
          problems.map((text) => text.slice(0, LONGEST_TEXT)).slice(0, 10),
        ),
        [ANNOTATION.policies]: policies ?? '',
      },
    },
    spec: { holderIdentity: node, leaseDurationSeconds: 2 * renewSeconds, renewTime: microTime(now) },
  };
}

export function trimAgent(value: unknown): Trimmed<AgentRecord> {
  const read = readMetadata(value);
  if ('problem' in read) return read;
  const { metadata, ...identity } = read;
  const spec = fieldsAt(value as Fields, 'spec');
  const annotations = fieldsAt(metadata, 'annotations');
  const text = (key: keyof typeof ANNOTATION) => textAt(annotations, ANNOTATION[key]) ?? '';
  const policies = text('policies');
  return {
    object: {
      ...identity,
      node: textAt(spec, 'holderIdentity') ?? '',
      seenAt: textAt(spec, 'renewTime') ?? '',
      version: text('version'),
      ready: text('ready') === 'true',
      message: text('message'),
      problems: readProblems(text('problems')),
      ...(policies === '' ? {} : { policies }),
    },
  };
}

function readProblems(text: string): string[] {
  try {
    const list = JSON.parse(text) as unknown;
    return Array.isArray(list) ? list.filter((item) => typeof item === 'string') : [];
  } catch {
    return [];
  }
}
