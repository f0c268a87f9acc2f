/** A Namespace (core/v1): its labels, by which policies select it. */
import {
  type Kind,
  type KubeObject,
  type Labels,
  readLabels,
  readMetadata,
  type Trimmed,
} from '../../edge/kubernetes/object.ts';

export type Namespace = KubeObject & { labels: Labels };

export const NAMESPACE_KIND: Kind<Namespace> = {
  name: 'namespace',
  path: '/api/v1/namespaces',
  trim: trimNamespace,
};

export function trimNamespace(value: unknown): Trimmed<Namespace> {
  const read = readMetadata(value);
  if ('problem' in read) return read;
  const { metadata, name, uid, resourceVersion } = read;
  const labels = readLabels(metadata);
  if ('problem' in labels) return labels;
  return { object: { name, uid, resourceVersion, labels: labels.labels } };
}
