/** A Node (core/v1) as a node of the cluster: its addresses and ranges, and what tells nodes apart. */

import { describeError } from '../../base/errors/errors.ts';
import { type Fields, fieldAt, fieldsAt, isFields, listAt, show, textAt } from '../../base/fields/fields.ts';
import { parseCidr } from '../../base/ip/cidr.ts';
import { type Ip, isIp, parseIp } from '../../base/ip/ip.ts';
import {
  type Kind,
  type KubeObject,
  type Labels,
  readLabels,
  readMetadata,
  type Trimmed,
} from '../../edge/kubernetes/object.ts';
import type { ClusterNode } from '../../plan/node/cluster-node.ts';

const TAINT_EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'] as const;

export type Taint = { key: string; value: string; effect: (typeof TAINT_EFFECTS)[number] };

export type KubeNode = ClusterNode &
  KubeObject & {
    labels: Labels;
    taints: readonly Taint[];
    /** All addresses that it reports, those by which its peers reach it among them. */
    ips: readonly Ip[];
    /** Present while its record waits to be removed. */
    deleting?: true;
  };

export const NODE_KIND: Kind<KubeNode> = { name: 'node', path: '/api/v1/nodes', trim: trimNode };

/** Addresses, ranges and taints each; no node has as many. */
const MOST_ITEMS = 64;

/** One bad address, range or taint is left out and named; the others count. */
export function trimNode(value: unknown): Trimmed<KubeNode> {
  const read = readMetadata(value);
  if ('problem' in read) return read;
  const { metadata, namespace: _, ...identity } = read;
  const labels = readLabels(metadata);
  if ('problem' in labels) return labels;
  const createdAt = textAt(metadata, 'creationTimestamp') ?? '';
  if (Number.isNaN(Date.parse(createdAt))) {
    return {
      problem: `metadata.creationTimestamp: ${show(metadata['creationTimestamp'])} is not a time as in RFC 3339`,
    };
  }
  const problems: string[] = [];
  const spec = fieldsAt(value as Fields, 'spec');
  const status = fieldsAt(value as Fields, 'status');
  const internalIps = eachOf(listAt(status, 'addresses'), 'status.addresses', problems, (address) =>
    isFields(address) && address['type'] === 'InternalIP'
      ? [parseIp(String(address['address']), 'address')]
      : [],
  );
  const others = listAt(status, 'addresses').flatMap((address) => {
    const text = isFields(address) && address['type'] !== 'InternalIP' ? textAt(address, 'address') : '';
    return text !== undefined && isIp(text) ? [parseIp(text)] : [];
  });
  const podCidrs = eachOf(rangesOf(spec), 'spec.podCIDRs', problems, (range) => [
    parseCidr(String(range), 'range'),
  ]);
  const ips =
    others.length === 0 ? internalIps : [...new Set([...internalIps, ...others])].slice(0, MOST_ITEMS);
  const taints = eachOf(listAt(spec, 'taints'), 'spec.taints', problems, (taint) => [readTaint(taint)]);
  return {
    object: {
      ...identity,
      createdAt,
      internalIps,
      podCidrs,
      labels: labels.labels,
      taints,
      ips,
      ...deletionOf(metadata),
    },
    ...(problems.length === 0 ? {} : { problem: problems.join('; ') }),
  };
}

function deletionOf(metadata: Fields): Pick<KubeNode, 'deleting'> {
  return textAt(metadata, 'deletionTimestamp') === undefined ? {} : { deleting: true };
}

/** `podCIDR` alone is what clusters before dual-stack wrote. */
function rangesOf(spec: Fields): readonly unknown[] {
  const ranges = listAt(spec, 'podCIDRs');
  const single = fieldAt(spec, 'podCIDR') ?? '';
  return ranges.length > 0 || single === '' ? ranges : [single];
}

function readTaint(value: unknown): Taint {
  const fields = isFields(value) ? value : {};
  const key = textAt(fields, 'key');
  const effect = TAINT_EFFECTS.find((candidate) => candidate === fields['effect']);
  if (key === undefined || key.length > 317 || effect === undefined)
    throw new Error(`${show(value)} is not a taint of effect ${TAINT_EFFECTS.join(', ')}`);
  return { key, value: (textAt(fields, 'value') ?? '').slice(0, 63), effect };
}

function eachOf<T>(
  items: readonly unknown[],
  field: string,
  problems: string[],
  read: (item: unknown) => T[],
): T[] {
  if (items.length > MOST_ITEMS)
    problems.push(`${field}: has ${items.length} items, of which ${MOST_ITEMS} count`);
  return items.slice(0, MOST_ITEMS).flatMap((item, index) => {
    try {
      return read(item);
    } catch (error) {
      problems.push(`${field}[${index}]: ${describeError(error)}; it is left out until it is mended`);
      return [];
    }
  });
}
