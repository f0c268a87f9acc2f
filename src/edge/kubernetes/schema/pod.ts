/** The shape of a Pod. What nothing in a lab looks at (probes, volumes' sources, affinity) is known by name alone. */
import { conditions, kindShape, labelSelector } from './meta.ts';
import {
  atomic,
  each,
  flag,
  free,
  integer,
  list,
  listBy,
  listMergedBy,
  map,
  type ObjectType,
  object,
  type Type,
  text,
  textOrNumber,
  time,
} from './type.ts';

const nameReference = atomic(object({ name: text }));

const resources = object({
  limits: map(textOrNumber),
  requests: map(textOrNumber),
  claims: listBy(object(each(text, 'name', 'request'), ['name']), 'name'),
});

const containerPort = object(
  { ...each(text, 'name', 'protocol', 'hostIP'), ...each(integer, 'containerPort', 'hostPort') },
  ['containerPort'],
);

const environment = object({ name: text, value: text, valueFrom: free }, ['name']);

const volumeMount = object(
  {
    ...each(text, 'name', 'mountPath', 'subPath', 'subPathExpr', 'mountPropagation', 'recursiveReadOnly'),
    readOnly: flag,
  },
  ['name', 'mountPath'],
);

const container = object(
  {
    ...each(text, 'name', 'image', 'workingDir', 'imagePullPolicy', 'restartPolicy'),
    ...each(text, 'terminationMessagePath', 'terminationMessagePolicy', 'targetContainerName'),
    command: list(text),
    args: list(text),
    ports: listBy(containerPort, 'containerPort', 'protocol'),
    env: listBy(environment, 'name'),
    envFrom: list(free),
    resources,
    resizePolicy: list(free),
    restartPolicyRules: list(free),
    volumeMounts: listBy(volumeMount, 'mountPath'),
    volumeDevices: listBy(object(each(text, 'name', 'devicePath')), 'devicePath'),
    ...each(free, 'livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle', 'securityContext'),
    ...each(flag, 'stdin', 'stdinOnce', 'tty'),
  },
  ['name'],
);

const VOLUME_SOURCES =
  'hostPath emptyDir gcePersistentDisk awsElasticBlockStore gitRepo secret nfs iscsi glusterfs persistentVolumeClaim rbd flexVolume cinder cephfs flocker downwardAPI fc azureFile configMap vsphereVolume quobyte azureDisk photonPersistentDisk projected portworxVolume scaleIO storageos csi ephemeral image';

const volume = object({ name: text, ...each(free, ...VOLUME_SOURCES.split(' ')) }, ['name']);

const toleration = object({
  ...each(text, 'key', 'operator', 'value', 'effect'),
  tolerationSeconds: integer,
});

const spread = object(
  {
    ...each(text, 'topologyKey', 'whenUnsatisfiable', 'nodeAffinityPolicy', 'nodeTaintsPolicy'),
    ...each(integer, 'maxSkew', 'minDomains'),
    labelSelector,
    matchLabelKeys: list(text),
  },
  ['maxSkew', 'topologyKey', 'whenUnsatisfiable'],
);

export const podSpec: ObjectType = object(
  {
    ...each(
      text,
      'nodeName',
      'hostname',
      'subdomain',
      'restartPolicy',
      'dnsPolicy',
      'schedulerName',
      'priorityClassName',
    ),
    ...each(
      text,
      'serviceAccountName',
      'serviceAccount',
      'runtimeClassName',
      'preemptionPolicy',
      'hostnameOverride',
    ),
    ...each(integer, 'terminationGracePeriodSeconds', 'activeDeadlineSeconds', 'priority'),
    ...each(
      flag,
      'hostNetwork',
      'hostPID',
      'hostIPC',
      'hostUsers',
      'shareProcessNamespace',
      'enableServiceLinks',
    ),
    ...each(flag, 'automountServiceAccountToken', 'setHostnameAsFQDN'),
    containers: listBy(container, 'name'),
    initContainers: listBy(container, 'name'),
    ephemeralContainers: listBy(container, 'name'),
    volumes: listBy(volume, 'name'),
    nodeSelector: { type: 'map', of: text },
    affinity: free,
    securityContext: free,
    dnsConfig: object({
      nameservers: list(text),
      searches: list(text),
      options: list(object(each(text, 'name', 'value'))),
    }),
    hostAliases: listBy(object({ ip: text, hostnames: list(text) }), 'ip'),
    imagePullSecrets: listBy(nameReference, 'name'),
    overhead: map(textOrNumber),
    readinessGates: list(object({ conditionType: text }, ['conditionType'])),
    schedulingGates: listBy(object({ name: text }), 'name'),
    resourceClaims: listBy(
      object(each(text, 'name', 'resourceClaimName', 'resourceClaimTemplateName')),
      'name',
    ),
    tolerations: list(toleration),
    topologySpreadConstraints: listBy(spread, 'topologyKey', 'whenUnsatisfiable'),
    os: object({ name: text }),
    resources,
  },
  ['containers'],
);

const containerState: Type = object({
  waiting: object(each(text, 'reason', 'message')),
  running: object({ startedAt: time }),
  terminated: object({
    ...each(integer, 'exitCode', 'signal'),
    ...each(text, 'reason', 'message', 'containerID'),
    ...each(time, 'startedAt', 'finishedAt'),
  }),
});

const containerStatus = object({
  ...each(text, 'name', 'image', 'imageID', 'containerID'),
  ...each(flag, 'ready', 'started'),
  restartCount: integer,
  state: containerState,
  lastState: containerState,
  ...each(free, 'allocatedResources', 'resources', 'volumeMounts', 'user', 'allocatedResourcesStatus'),
});

export const pod: ObjectType = kindShape({
  spec: podSpec,
  status: object({
    ...each(text, 'phase', 'reason', 'message', 'hostIP', 'podIP', 'nominatedNodeName', 'qosClass', 'resize'),
    observedGeneration: integer,
    startTime: time,
    conditions,
    podIPs: listBy(object({ ip: text }), 'ip'),
    hostIPs: listMergedBy(object({ ip: text }), 'ip'),
    containerStatuses: list(containerStatus),
    initContainerStatuses: list(containerStatus),
    ephemeralContainerStatuses: list(containerStatus),
    resourceClaimStatuses: list(free),
  }),
});
