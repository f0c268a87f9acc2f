/** Pods and namespaces of manifests: as they would be in the cluster, as far as policies see them. */
import { type Fields, fieldAt, fieldsAt, textAt } from '../../base/fields/fields.ts';
import { trimNamespace } from '../../cluster/kinds/namespace.ts';
import { trimPod } from '../../cluster/kinds/pod.ts';
import type { PolicyNamespace, PolicyPod } from '../../plan/policy/parse/objects.ts';
import type { Manifest } from './manifests.ts';

/** Where the template of the pods is in objects that make some. */
const TEMPLATES: Readonly<Record<string, readonly string[]>> = {
  Deployment: ['spec', 'template'],
  ReplicaSet: ['spec', 'template'],
  StatefulSet: ['spec', 'template'],
  DaemonSet: ['spec', 'template'],
  ReplicationController: ['spec', 'template'],
  Job: ['spec', 'template'],
  CronJob: ['spec', 'jobTemplate', 'spec', 'template'],
};

/** Of each workload one pod; what cannot be read is left out. */
export function readProposedPods(manifests: readonly Manifest[]): {
  pods: PolicyPod[];
  namespaces: PolicyNamespace[];
} {
  const pods = manifests.flatMap(({ value }): PolicyPod[] => {
    const template = templateOf(value);
    if (template === undefined) return [];
    const metadata = fieldsAt(value, 'metadata');
    const name = textAt(metadata, 'name') ?? textAt(metadata, 'generateName') ?? 'pod';
    const trimmed = trimPod({
      ...template,
      metadata: identify({
        ...fieldsAt(template, 'metadata'),
        name: name.replace(/-$/, ''),
        namespace: textAt(metadata, 'namespace') ?? 'default',
      }),
      status: {},
    });
    return 'object' in trimmed ? [trimmed.object] : [];
  });
  const namespaces = manifests.flatMap(({ value }): PolicyNamespace[] => {
    if (textAt(value, 'kind') !== 'Namespace') return [];
    const metadata = fieldsAt(value, 'metadata');
    const named = {
      ...fieldsAt(metadata, 'labels'),
      'kubernetes.io/metadata.name': fieldAt(metadata, 'name'),
    };
    const trimmed = trimNamespace({ ...value, metadata: identify({ ...metadata, labels: named }) });
    return 'object' in trimmed ? [trimmed.object] : [];
  });
  return { pods, namespaces };
}

function templateOf(value: Fields): Fields | undefined {
  const kind = textAt(value, 'kind') ?? '';
  if (kind === 'Pod') return value;
  const path = Object.hasOwn(TEMPLATES, kind) ? TEMPLATES[kind] : undefined;
  return path?.reduce(fieldsAt, value);
}

/** What the cluster would add. */
function identify(metadata: Fields): Fields {
  return { ...metadata, uid: 'proposed', resourceVersion: '0' };
}
