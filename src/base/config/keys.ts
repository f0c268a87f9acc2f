/** Every configuration key: the one source of the parser, the JSON schema and docs/configuration.md. */

import { LOG_FORMATS, LOG_LEVELS } from '../log/logger.ts';
import { ABSOLUTE, FOLDER, OWN_FOLDER } from './folders.ts';
import { CAPABILITIES, LIST_VERSIONS } from './network-list.ts';

export type KeyType =
  | { type: 'boolean' }
  | { type: 'integer'; minimum: number; maximum: number }
  | {
      type: 'text';
      pattern?: string;
      /** Characters. */
      maxLength?: number;
      /** What fits all else, and is refused. */
      not?: readonly string[];
      /** What would fit. */
      patternHint?: string;
    }
  | { type: 'choice'; of: readonly string[] }
  /** Any number of words, each once. */
  | { type: 'choices'; of: readonly string[] }
  /** `auto`, or a number in the range. */
  | { type: 'auto-or-integer'; minimum: number; maximum: number }
  | { type: 'ranges' }
  | { type: 'addresses' };

export type Key = KeyType & {
  path: string;
  default: unknown;
  doc: string;
  /** Whether a running agent follows a change of the file; if not, why. */
  reload: 'live' | { restart: string };
};

const SOCKETS = 'the sockets are opened once, at the start';
const SOURCE = 'the nodes are watched from the start';
const IDENTITY = 'who the node is cannot change while it runs';
const ADDRESS_AND_PORT = '^$|^(\\[[0-9a-fA-F:]+\\]|[0-9.]+):\\d{1,5}$';

export const KEYS: readonly Key[] = [
  {
    path: 'podNetwork',
    type: 'ranges',
    default: ['10.244.0.0/16'],
    doc: 'The pod network of the cluster: one or more ranges per family. Pods in it talk to each other without NAT. A node takes its slice from the first range of a family that has one left, so a range may be added while the cluster runs.',
    reload: 'live',
  },
  {
    path: 'nodePrefixLength',
    type: 'integer',
    minimum: 16,
    maximum: 30,
    default: 24,
    doc: 'How large a slice of the IPv4 pod network a node takes when the cluster does not assign one: 24 holds 253 pods.',
    reload: 'live',
  },
  {
    path: 'nodePrefixLength6',
    type: 'integer',
    minimum: 64,
    maximum: 124,
    default: 64,
    doc: 'The same of the IPv6 pod network. Of a range larger than /112 the first 65,534 addresses are used.',
    reload: 'live',
  },
  {
    path: 'backend',
    type: 'choice',
    of: ['auto', 'vxlan', 'host-gw'],
    default: 'auto',
    doc: 'How other nodes are reached: `auto` by direct routes where a node is on the same link and through VXLAN elsewhere, `vxlan` always through the tunnel, `host-gw` by direct routes alone.',
    reload: 'live',
  },
  {
    path: 'vxlan.port',
    type: 'integer',
    minimum: 1,
    maximum: 65535,
    default: 8472,
    doc: 'UDP port of the tunnel, the same on all nodes. 8472 is what Linux always used, 4789 what IANA assigned.',
    reload: 'live',
  },
  {
    path: 'vxlan.vni',
    type: 'integer',
    minimum: 1,
    maximum: 16777215,
    default: 1,
    doc: 'VXLAN network identifier, the same on all nodes.',
    reload: 'live',
  },
  {
    path: 'mtu',
    type: 'auto-or-integer',
    minimum: 576,
    maximum: 65535,
    default: 'auto',
    doc: 'MTU of pods in bytes. `auto` is what fits the path: that of the interface which holds the address of the node, less 50 where a tunnel is in use. A pod keeps the MTU that it started with.',
    reload: 'live',
  },
  {
    path: 'masquerade.enabled',
    type: 'boolean',
    default: true,
    doc: 'Whether packets from pods to the outside carry the address of the node. Packets inside the cluster never do.',
    reload: 'live',
  },
  {
    path: 'masquerade.exclude',
    type: 'ranges',
    default: [],
    doc: 'Further destinations that see the addresses of pods, because the network there knows the way back.',
    reload: 'live',
  },
  {
    path: 'conntrack',
    type: 'choice',
    of: ['auto', 'always'],
    default: 'auto',
    doc: 'Whether connections between pods are tracked. `auto` tracks them only where something else on the node translates addresses, such as kube-proxy, whose answers would otherwise not be translated back.',
    reload: 'live',
  },
  {
    path: 'node.name',
    type: 'text',
    pattern: '^$|^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$',
    patternHint: 'use lower-case letters, digits, dots and dashes, as in the name of a Kubernetes node',
    default: '',
    doc: 'Name of this node in the cluster. Empty: the environment variable NODE_NAME, else the name of the host in lower case, as a kubelet takes it.',
    reload: { restart: IDENTITY },
  },
  {
    path: 'node.addresses',
    type: 'addresses',
    default: [],
    doc: 'Addresses of this node towards the other nodes. Empty: those of its record in the cluster.',
    reload: 'live',
  },
  {
    path: 'cluster.source',
    type: 'choice',
    of: ['directory', 'kubernetes'],
    default: 'directory',
    doc: 'Where the nodes of the cluster are known: `kubernetes` is its API, `directory` records that all nodes share.',
    reload: { restart: SOURCE },
  },
  {
    path: 'cluster.kubeconfig',
    type: 'text',
    default: '',
    doc: 'Kubeconfig by which the API is reached, at its current context. Empty: the service account of the pod that the agent runs in.',
    reload: { restart: SOURCE },
  },
  {
    path: 'cluster.startupTaint',
    type: 'text',
    default: 'fairlead.io/network-not-ready',
    doc: 'Key of the taint that the agent takes from its node as soon as the network is up. Nodes that register with it (kubelet `--register-with-taints`) get no pods before. Empty: no taint is touched.',
    reload: 'live',
  },
  {
    path: 'cluster.reportNamespace',
    type: 'text',
    pattern: '^$|^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$',
    patternHint: 'use the name of a namespace: lower-case letters, digits and dashes',
    default: '',
    doc: 'Namespace of the leases (`fairlead-agent-NODE`) by which the agents tell how they are. Empty: that of the pod that the agent runs in, else kube-system.',
    reload: { restart: SOURCE },
  },
  {
    path: 'cluster.assignRanges',
    type: 'choice',
    of: ['auto', 'never'],
    default: 'auto',
    doc: 'Whether Fairlead gives nodes of Kubernetes their ranges. `auto` does for those that nobody else gave one within ten seconds, one agent for all of them; kube-controller-manager with `--allocate-node-cidrs` is faster than that.',
    reload: { restart: SOURCE },
  },
  {
    path: 'cluster.serviceNetwork',
    type: 'ranges',
    default: [],
    doc: 'Where services have their addresses, as in `--service-cluster-ip-range` of the API server: no node gets a range there, and one that has it is refused; no port of a node (`hostPort`) is at one of its addresses, though kube-proxy may give them to the node. ServiceCIDR objects of the cluster say the same by themselves.',
    reload: 'live',
  },
  {
    path: 'cluster.directory',
    type: 'text',
    ...ABSOLUTE,
    default: '/run/fairlead/cluster',
    doc: 'Directory that holds the records of the nodes, one file each.',
    reload: { restart: SOURCE },
  },
  {
    path: 'paths.socketDirectory',
    type: 'text',
    ...OWN_FOLDER,
    default: '/run/fairlead',
    doc: 'Directory of the sockets `cni.sock` (for the plugin) and `api.sock` (for the command line), open to root alone.',
    reload: { restart: SOCKETS },
  },
  {
    path: 'paths.stateDirectory',
    type: 'text',
    ...OWN_FOLDER,
    default: '/var/lib/fairlead',
    doc: 'Directory of what the kernel cannot hold: the last good view of the node, which namespaces have policies, and DELs that wait for the agent.',
    reload: { restart: SOCKETS },
  },
  {
    path: 'paths.sysctlDirectory',
    type: 'text',
    ...ABSOLUTE,
    default: '/proc/sys',
    doc: 'Directory through which settings of the kernel are written. A container sees `/proc/sys` read-only: there it is a mount of the host’s.',
    reload: 'live',
  },
  {
    path: 'cni.binDirectory',
    type: 'text',
    ...FOLDER,
    default: '',
    doc: 'Folder of the container runtime into which `fairlead install` puts the plugin: `/opt/cni/bin`. Empty: nothing is installed.',
    reload: 'live',
  },
  {
    path: 'cni.confDirectory',
    type: 'text',
    ...FOLDER,
    default: '',
    doc: 'Folder of the container runtime into which the agent writes the network list as soon as it can take pods: `/etc/cni/net.d`. Empty: none is written.',
    reload: 'live',
  },
  {
    path: 'cni.fileName',
    type: 'text',
    pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,100}\\.conflist$',
    patternHint: 'write a file name that ends in .conflist',
    default: '10-fairlead.conflist',
    doc: 'Name of that file. Runtimes take the first one of the folder by name.',
    reload: 'live',
  },
  {
    path: 'cni.networkName',
    type: 'text',
    pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$',
    patternHint: 'begin with a letter or digit, and go on with these, dots, dashes or underscores',
    default: 'fairlead',
    doc: 'Name of the network in the list. Pods that run keep the one that they were attached under.',
    reload: 'live',
  },
  {
    path: 'cni.listVersion',
    type: 'choice',
    of: LIST_VERSIONS,
    default: '1.0.0',
    doc: 'Version of the CNI specification in the list. `1.1.0` where the runtime knows it (containerd 2): then it calls STATUS and GC too.',
    reload: 'live',
  },
  {
    path: 'cni.capabilities',
    type: 'choices',
    of: CAPABILITIES,
    default: [...CAPABILITIES],
    doc: 'What the runtime may hand on: without `portMappings` a `hostPort` is silently nothing.',
    reload: 'live',
  },
  {
    path: 'cni.daemonSet',
    type: 'text',
    pattern: '^$|^([a-z0-9-]{1,63}/)?[a-z0-9][a-z0-9.-]{0,252}$',
    patternHint: 'write a name, or namespace/name',
    default: '',
    doc: 'The DaemonSet that this agent belongs to: its name, or `namespace/name`; the namespace is else that of the agent’s pod. An agent that is told to stop because it is being removed takes list and plugin away. Empty: they stay.',
    reload: { restart: SOURCE },
  },
  {
    path: 'host.systemdDirectory',
    type: 'text',
    ...FOLDER,
    default: '',
    doc: 'Folder into which `fairlead install` puts settings that make systemd-networkd leave our devices, routes and rules alone: `/etc/systemd`. Empty: none.',
    reload: 'live',
  },
  {
    path: 'host.networkManagerDirectory',
    type: 'text',
    ...FOLDER,
    default: '',
    doc: 'The same for NetworkManager: `/etc/NetworkManager/conf.d`. Empty: none.',
    reload: 'live',
  },
  {
    path: 'resyncSeconds',
    type: 'integer',
    minimum: 1,
    maximum: 3600,
    default: 60,
    doc: 'Seconds after which the kernel is compared with what it should hold although nothing said that it changed.',
    reload: { restart: 'the timer is set at the start' },
  },
  {
    path: 'policy.events',
    type: 'boolean',
    default: false,
    doc: 'Whether a pod whose packets a policy denies gets an Event that says so, with the policy and how often, written at most once a minute.',
    reload: 'live',
  },
  {
    path: 'services.mode',
    type: 'choice',
    of: ['auto', 'on', 'off'],
    default: 'off',
    doc: 'Whether the node serves the services of the cluster, in the place of kube-proxy. `auto` does where no kube-proxy does, and says in its status by what one shows; `on` does in any case; `off` takes the tables of services away and asks the cluster for none.',
    reload: 'live',
  },
  {
    path: 'services.nodePortAddresses',
    type: 'ranges',
    default: [],
    doc: 'Ranges of those addresses of the node at which NodePorts answer; `0.0.0.0/0` and `::/0` are all of them but loopback. Empty: the addresses of its record in the cluster alone, as `primary` of kube-proxy.',
    reload: 'live',
  },
  {
    path: 'services.masqueradeAll',
    type: 'boolean',
    default: false,
    doc: 'Whether pods that use the address of a service carry the address of the node too. They keep their own otherwise.',
    reload: 'live',
  },
  {
    path: 'services.healthAddress',
    type: 'text',
    pattern: ADDRESS_AND_PORT,
    patternHint: 'write an address and a port, as 0.0.0.0:10256 or [::]:10256',
    default: '0.0.0.0:10256',
    doc: 'Address and port at which load balancers ask for `/healthz`, while the node serves services. Empty: nowhere.',
    reload: { restart: SOCKETS },
  },
  {
    path: 'probes.intervalSeconds',
    type: 'integer',
    minimum: 0,
    maximum: 3600,
    default: 10,
    doc: 'Seconds in which every other node is probed once, by an ICMP echo on the path that packets to its pods take; a node sends at most 50 of them per second, so that of more than 50 nodes per second of the interval each has its turn later. 0: no probes.',
    reload: 'live',
  },
  {
    path: 'metrics.address',
    type: 'text',
    pattern: ADDRESS_AND_PORT,
    patternHint: 'write an address and a port, as 127.0.0.1:9630 or [::1]:9630',
    default: '',
    doc: 'Address and port at which `/metrics`, `/healthz` and `/readyz` are served. Empty: only at the socket `api.sock`.',
    reload: { restart: SOCKETS },
  },
  {
    path: 'metrics.policyNames',
    type: 'boolean',
    default: false,
    doc: 'Whether metrics at that address name policies (label `policy` of `fairlead_policy_packets_total`): whoever reaches the address reads them. At the socket `api.sock` they are always named.',
    reload: 'live',
  },
  {
    path: 'log.level',
    type: 'choice',
    of: LOG_LEVELS,
    default: 'info',
    doc: 'The least level that is logged.',
    reload: 'live',
  },
  {
    path: 'log.format',
    type: 'choice',
    of: LOG_FORMATS,
    default: 'json',
    doc: 'One JSON object per line, or text for people.',
    reload: 'live',
  },
];

/** @throws TypeError for a key that there is not, which is a mistake of the program. */
export function defaultValue(path: string): unknown {
  const key = KEYS.find((candidate) => candidate.path === path);
  if (key === undefined) throw new TypeError(`there is no key ${path}`);
  return key.default;
}
