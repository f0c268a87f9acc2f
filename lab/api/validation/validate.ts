/** What an object must fulfil beyond its shape. Every fault is found, each by its field. */

import type { Kind } from '../kinds.ts';
import type { Cause } from '../request/failure.ts';
import { addressObjectProblems, rangeObjectProblems } from '../service/validate-range.ts';
import { serviceProblems } from '../service/validate-service.ts';
import { sliceProblems } from '../service/validate-slice.ts';
import { type Fields, fieldsAt } from '../storage/object.ts';
import { nodeProblems, otherProblems } from './validate-cluster.ts';
import { podProblems } from './validate-pod.ts';
import { clusterPolicyProblems, networkPolicyProblems } from './validate-policy.ts';

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const QUALIFIED =
  /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
/** Whether it is one is asked where the kind is looked at. */
const ADDRESS = /^[0-9a-f.:]+$/;
const MOST_ANNOTATION_BYTES = 256 * 1024;

/** Kinds whose names are also words in names that DNS knows. */
const LABEL_NAMED = new Set(['Namespace', 'Service']);

/** @param before the object as it was, where this is an update. */
export function validate(kind: Kind, object: Fields, before: Fields | undefined): Cause[] {
  return [...metadataProblems(kind, object), ...specProblems(kind, object, before)];
}

function metadataProblems(kind: Kind, object: Fields): Cause[] {
  const {
    name,
    labels = {},
    annotations = {},
  } = fieldsAt(object, 'metadata') as {
    name?: string;
    labels?: Fields;
    annotations?: Fields;
  };
  const causes: Cause[] = [];
  const shape = LABEL_NAMED.has(kind.kind) ? LABEL : kind.kind === 'IPAddress' ? ADDRESS : SUBDOMAIN;
  if (name === undefined || name === '')
    causes.push({ field: 'metadata.name', message: 'Required value: name or generateName is required' });
  else if (name.length > 253 || !shape.test(name)) {
    const wanted = LABEL_NAMED.has(kind.kind) ? 'label (up to 63' : 'subdomain (up to 253';
    causes.push({
      field: 'metadata.name',
      message: `Invalid value: ${JSON.stringify(name)}: a lowercase RFC 1123 ${wanted} characters): lower-case letters, digits and dashes, with a letter or digit at both ends`,
    });
  }
  for (const [key, value] of Object.entries(labels)) {
    if (!QUALIFIED.test(key))
      causes.push({
        field: 'metadata.labels',
        message: `Invalid value: ${JSON.stringify(key)}: is no name of a label`,
      });
    if (!LABEL_VALUE.test(String(value)))
      causes.push({
        field: 'metadata.labels',
        message: `Invalid value: ${JSON.stringify(value)}: use up to 63 letters, digits, dashes, dots and underscores`,
      });
  }
  for (const key of Object.keys(annotations))
    if (!QUALIFIED.test(key))
      causes.push({
        field: 'metadata.annotations',
        message: `Invalid value: ${JSON.stringify(key)}: is no name of an annotation`,
      });
  const bytes = Object.entries(annotations).reduce(
    (sum, [key, value]) => sum + key.length + String(value).length,
    0,
  );
  if (bytes > MOST_ANNOTATION_BYTES)
    causes.push({
      field: 'metadata.annotations',
      message: `Too long: may not be more than ${MOST_ANNOTATION_BYTES} bytes`,
    });
  return causes;
}

function specProblems(kind: Kind, object: Fields, before: Fields | undefined): Cause[] {
  switch (kind.kind) {
    case 'Pod':
      return podProblems(object, before);
    case 'NetworkPolicy':
      return networkPolicyProblems(object);
    case 'ClusterNetworkPolicy':
      return clusterPolicyProblems(object);
    case 'Node':
      return nodeProblems(object, before);
    case 'Service':
      return serviceProblems(object);
    case 'EndpointSlice':
      return sliceProblems(object, before);
    case 'ServiceCIDR':
      return rangeObjectProblems(object, before);
    case 'IPAddress':
      return addressObjectProblems(object, before);
    default:
      return otherProblems(kind.kind, object);
  }
}
