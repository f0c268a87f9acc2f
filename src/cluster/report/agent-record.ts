/**
 * An agent's report as the cluster keeps it: a Lease (coordination.k8s.io/v1) of its own, as kubelets have one, with the
 * report in an annotation. It is not watched, and where it is wiped, it is written anew.
 */

import { type Fields, fieldAt, fieldsAt, isFields, listAt, textAt } from '../../base/fields/fields.ts';
import { type Kind, type KubeObject, readMetadata, type Trimmed } from '../../edge/kubernetes/object.ts';
import { microTime } from '../kinds/lease.ts';
import { type AgentReport, shortened } from './agent-report.ts';

/** The agent as it was when it last gave a sign of life. */
export type AgentRecord = KubeObject & {
  node: string;
  /** RFC 3339, by the clock of the API server: that of a node may be wrong. */
  seenAt: string;
  /** Seconds after which one that is still there has given the next one. */
  promisedSeconds: number;
  report: AgentReport;
};

const LABEL = 'fairlead.io/agent';
const ANNOTATION = 'fairlead.io/report';
/** Characters; what an agent writes has a tenth of it. */
const LARGEST_REPORT = 32_768;

/** In all namespaces: they lie where the agents run. */
export const AGENT_KIND: Kind<AgentRecord> = {
  name: 'agent lease',
  path: '/apis/coordination.k8s.io/v1/leases',
  query: { labelSelector: `${LABEL}=true` },
  trim: trimAgent,
};

export function agentLeaseName(node: string): string {
  return `fairlead-agent-${node}`;
}

export type AgentLife = {
  namespace: string;
  node: string;
  /** Of the record of the node, with which the cluster removes the lease; absent while it is not known. */
  uid: string | undefined;
  /** Seconds. */
  promisedSeconds: number;
};

export function leaseOfAgent(life: AgentLife, report: AgentReport, now: Date): object {
  const { namespace, node, uid, promisedSeconds } = life;
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {
      name: agentLeaseName(node),
      namespace,
      labels: { [LABEL]: 'true' },
      annotations: { [ANNOTATION]: JSON.stringify(shortened(report)) },
      ...(uid === undefined
        ? {}
        : { ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: node, uid }] }),
    },
    spec: { holderIdentity: node, leaseDurationSeconds: promisedSeconds, renewTime: microTime(now) },
  };
}

export function trimAgent(value: unknown): Trimmed<AgentRecord> {
  const read = readMetadata(value);
  if ('problem' in read) return read;
  const { metadata, ...identity } = read;
  const spec = fieldsAt(value as Fields, 'spec');
  const node = textAt(spec, 'holderIdentity') ?? '';
  const seenAt = textAt(spec, 'renewTime') ?? '';
  const promised = fieldAt(spec, 'leaseDurationSeconds');
  if (node === '' || Number.isNaN(Date.parse(seenAt)) || typeof promised !== 'number')
    return { problem: 'spec: does not say whose it is, and when it was renewed' };
  const report = readReport(textAt(fieldsAt(metadata, 'annotations'), ANNOTATION) ?? '');
  if (report === undefined) return { problem: `metadata.annotations: ${ANNOTATION} cannot be read` };
  return { object: { ...identity, node, seenAt, promisedSeconds: promised, report } };
}

/** Also one of another version: what is missing is as good as nothing. */
function readReport(text: string): AgentReport | undefined {
  const fields = parse(text);
  if (fields === undefined) return undefined;
  const error = fieldsAt(fields, 'lastError');
  const silent = fieldsAt(fields, 'silent');
  const policies = textAt(fields, 'policies');
  const mtu = fieldAt(fields, 'mtu');
  return {
    version: textAt(fields, 'version') ?? '',
    ready: fieldAt(fields, 'ready') === true,
    message: textAt(fields, 'message') ?? '',
    problems: textsAt(fields, 'problems'),
    ...(policies === undefined ? {} : { policies }),
    ranges: textsAt(fields, 'ranges'),
    ...(typeof mtu === 'number' ? { mtu } : {}),
    pods: numberAt(fields, 'pods'),
    paths: Object.fromEntries(
      Object.entries(fieldsAt(fields, 'paths')).filter(
        (entry): entry is [string, number] => typeof entry[1] === 'number',
      ),
    ),
    silent: { count: numberAt(silent, 'count'), peers: textsAt(silent, 'peers') },
    ...('at' in error
      ? { lastError: { at: textAt(error, 'at') ?? '', text: textAt(error, 'text') ?? '' } }
      : {}),
  };
}

function parse(text: string): Fields | undefined {
  if (text.length > LARGEST_REPORT) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function textsAt(fields: Fields, name: string): string[] {
  return listAt(fields, name).filter((item) => typeof item === 'string');
}

function numberAt(fields: Fields, name: string): number {
  const value = fieldAt(fields, name);
  return typeof value === 'number' ? value : 0;
}
