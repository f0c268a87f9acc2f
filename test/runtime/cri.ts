/** A kubelet's part of the Container Runtime Interface (k8s.io/cri-api, runtime/v1/api.proto), by gRPC over HTTP/2. */
import { connect, type IncomingHttpHeaders } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { encode, Fields, type Message } from './protobuf.ts';

export type PortMapping = { protocol: 'tcp' | 'udp'; hostPort: number; containerPort: number };

export type Sandbox = {
  name: string;
  namespace?: string;
  ports?: readonly PortMapping[];
  annotations?: Readonly<Record<string, string>>;
  cgroup?: string;
  /** Shares the network of the node. */
  hostNetwork?: boolean;
  /** Folder for what its containers write: `NAME.log`. */
  logs?: string;
};

/** A container as a kubelet describes it, with the restrictions of one that is not privileged. */
export type ContainerSpec = {
  name: string;
  image: string;
  command?: readonly string[];
  args?: readonly string[];
  env?: Readonly<Record<string, string>>;
  mounts?: readonly { from: string; to: string; readOnly?: boolean; hostToContainer?: boolean }[];
  security?: {
    add: readonly string[];
    drop: readonly string[];
    readOnlyRoot: boolean;
    noNewPrivileges: boolean;
  };
};

export type ContainerState = { running: boolean; exitCode: number; reason: string };

export class CriError extends Error {}

/** @param socketPath the runtime's socket. */
export function openCri(socketPath: string) {
  const call = (method: string, message: Message) =>
    unary(socketPath, `/runtime.v1.RuntimeService/${method}`, message);
  return {
    version: async () => (await call('Version', {})).text(2),

    /** @returns the sandbox's id. */
    runSandbox: async (sandbox: Sandbox) =>
      (await call('RunPodSandbox', { 1: sandboxConfig(sandbox) })).text(1),
    stopSandbox: (id: string) => call('StopPodSandbox', { 1: id }),
    removeSandbox: (id: string) => call('RemovePodSandbox', { 1: id }),

    /** All its addresses. */
    sandboxIps: async (id: string) => {
      const network = (await call('PodSandboxStatus', { 1: id })).message(1).message(5);
      return [network.text(1), ...network.messages(2).map((ip) => ip.text(1))].filter((ip) => ip !== '');
    },

    /** Creates and starts a container. @returns its id. */
    runContainer: async (sandboxId: string, sandbox: Sandbox, spec: ContainerSpec) => {
      const config = containerConfig(spec, sandbox);
      const created = await call('CreateContainer', { 1: sandboxId, 2: config, 3: sandboxConfig(sandbox) });
      const id = created.text(1);
      await call('StartContainer', { 1: id });
      return id;
    },

    stopContainer: (id: string) => call('StopContainer', { 1: id, 2: 10 }),

    containerState: async (id: string): Promise<ContainerState> => {
      const status = (await call('ContainerStatus', { 1: id })).message(1);
      return { running: status.number(3) === RUNNING, exitCode: status.number(7), reason: status.text(10) };
    },

    /** What the command prints. @throws CriError when it fails. */
    exec: async (containerId: string, ...command: readonly string[]) => {
      const answer = await call('ExecSync', { 1: containerId, 2: command, 3: 10 });
      if (answer.number(3) !== 0)
        throw new CriError(`${command.join(' ')}: ${answer.text(2)}${answer.text(1)}`);
      return answer.text(1);
    },
  };
}

export type Cri = ReturnType<typeof openCri>;

function sandboxConfig({
  name,
  namespace = 'default',
  ports = [],
  annotations = {},
  cgroup,
  hostNetwork,
  logs,
}: Sandbox): Message {
  return {
    1: { 1: name, 2: `uid-of-${name}`, 3: namespace },
    // Who shares the node's network has its name too.
    2: hostNetwork === true ? undefined : name,
    3: logs,
    5: ports.map(({ protocol, containerPort, hostPort }) => ({
      1: protocol === 'udp' ? 1 : 0,
      2: containerPort,
      3: hostPort,
    })),
    7: Object.entries(annotations).map(([key, value]) => ({ 1: key, 2: value })),
    8: { 1: cgroup, ...(hostNetwork === true ? { 2: { 1: NAMESPACES_OF_NODE } } : {}) },
  };
}

/** NamespaceOption with the network of the node (NODE is 2), and process ids of the container's own. */
const NAMESPACES_OF_NODE: Message = { 1: 2, 2: 1 };
const RUNNING = 1;
const HOST_TO_CONTAINER = 1;
const RUNTIME_DEFAULT: Message = { 1: 0 };

/** What kubelets hide from containers that are not privileged, and let them only read (kubernetes, pkg/securitycontext). */
const MASKED = [
  '/proc/acpi',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/sys/firmware',
];
const READ_ONLY = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

function containerConfig(spec: ContainerSpec, { hostNetwork }: Sandbox): Message {
  const { name, image, command = [], args = [], env = {}, mounts = [], security } = spec;
  return {
    1: { 1: name },
    2: { 1: image },
    3: command,
    4: args,
    6: Object.entries(env).map(([key, value]) => ({ 1: key, 2: value })),
    7: mounts.map(({ from, to, readOnly, hostToContainer }) => ({
      1: to,
      2: from,
      3: readOnly === true ? 1 : 0,
      5: hostToContainer === true ? HOST_TO_CONTAINER : 0,
    })),
    11: `${name}.log`,
    ...(security === undefined
      ? {}
      : {
          15: {
            2: {
              1: { 1: security.add, 2: security.drop },
              ...(hostNetwork === true ? { 3: NAMESPACES_OF_NODE } : {}),
              7: security.readOnlyRoot ? 1 : 0,
              11: security.noNewPrivileges ? 1 : 0,
              13: MASKED,
              14: READ_ONLY,
              15: RUNTIME_DEFAULT,
            },
          },
        }),
  };
}

/** One gRPC call without streams: a message each way, with five bytes before it, and the status behind. */
function unary(socketPath: string, path: string, message: Message): Promise<Fields> {
  return new Promise((resolve, reject) => {
    const session = connect('http://localhost', { createConnection: () => connectSocket(socketPath) });
    const fail = (error: Error) => {
      session.destroy();
      reject(error);
    };
    session.on('error', fail);
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const chunks: Buffer[] = [];
    let status: { code: string; text: string } | undefined;
    const noteStatus = (headers: IncomingHttpHeaders) => {
      if (headers['grpc-status'] === undefined) return;
      status = {
        code: String(headers['grpc-status']),
        text: decodeURIComponent(String(headers['grpc-message'] ?? '')),
      };
    };
    stream.on('response', noteStatus).on('trailers', noteStatus).on('error', fail);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      session.close();
      if (status?.code === '0') resolve(new Fields(Buffer.concat(chunks).subarray(PREFIX)));
      else reject(new CriError(`${path}: ${status?.text ?? 'no status'}`));
    });
    const body = encode(message);
    const prefix = Buffer.alloc(PREFIX);
    prefix.writeUInt32BE(body.length, 1);
    stream.end(Buffer.concat([prefix, body]));
  });
}

const PREFIX = 5;
