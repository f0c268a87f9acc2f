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
};

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
    runContainer: async (
      sandboxId: string,
      sandbox: Sandbox,
      { name, image, command }: { name: string; image: string; command: readonly string[] },
    ) => {
      const config = { 1: { 1: name }, 2: { 1: image }, 3: command, 11: `${name}.log` };
      const created = await call('CreateContainer', { 1: sandboxId, 2: config, 3: sandboxConfig(sandbox) });
      const id = created.text(1);
      await call('StartContainer', { 1: id });
      return id;
    },

    /** What the command prints. @throws CriError when it fails. */
    exec: async (containerId: string, ...command: readonly string[]) => {
      const answer = await call('ExecSync', { 1: containerId, 2: command, 3: 10 });
      if (answer.number(3) !== 0) throw new CriError(`${command.join(' ')}: ${answer.text(2)}`);
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
}: Sandbox): Message {
  return {
    1: { 1: name, 2: `uid-of-${name}`, 3: namespace },
    2: name,
    5: ports.map(({ protocol, containerPort, hostPort }) => ({
      1: protocol === 'udp' ? 1 : 0,
      2: containerPort,
      3: hostPort,
    })),
    7: Object.entries(annotations).map(([key, value]) => ({ 1: key, 2: value })),
    8: { 1: cgroup },
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
