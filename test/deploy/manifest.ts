/** The objects of the plain manifest, as far as tests look at them. */
import { parseAllDocuments } from 'yaml';
import { renderManifest } from '../../src/tools/chart/chart.ts';

export type Mount = { name: string; mountPath: string; readOnly?: boolean; mountPropagation?: string };

export type Container = {
  name: string;
  image: string;
  args: string[];
  env?: { name: string; value?: string }[];
  securityContext: {
    readOnlyRootFilesystem?: boolean;
    allowPrivilegeEscalation?: boolean;
    privileged?: boolean;
    capabilities: { add?: string[]; drop: string[] };
  };
  volumeMounts: Mount[];
};

export type PodSpec = {
  hostNetwork: boolean;
  priorityClassName: string;
  tolerations: object[];
  initContainers: Container[];
  containers: Container[];
  volumes: { name: string; hostPath?: { path: string; type: string }; configMap?: { name: string } }[];
};

export type Rule = { apiGroups: string[]; resources: string[]; resourceNames?: string[]; verbs: string[] };

export type Manifest = {
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string> };
  data?: Record<string, string>;
  rules?: Rule[];
  roleRef?: { kind: string; name: string };
  subjects?: { kind: string; name: string; namespace: string }[];
  spec?: {
    selector: { matchLabels: Record<string, string> };
    template: { metadata: { labels: Record<string, string> }; spec: PodSpec };
  };
};

export function manifestsOf(text: string = renderManifest()): Manifest[] {
  return parseAllDocuments(text).map((document) => document.toJS() as Manifest);
}

/** @throws Error where there is none. */
export function ofKind(manifests: readonly Manifest[], kind: string): Manifest {
  const found = manifests.find((manifest) => manifest.kind === kind);
  if (found === undefined) throw new Error(`the manifest has no ${kind}`);
  return found;
}

export function agentPod(manifests: readonly Manifest[] = manifestsOf()): PodSpec {
  return ofKind(manifests, 'DaemonSet').spec!.template.spec;
}
