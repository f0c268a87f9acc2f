/** A node for tests, as a runtime and an administrator have it: its folders, its configuration, the plugin, and an agent. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseConfiguration } from '../../base/config/parse.ts';
import { describeError } from '../../base/errors/errors.ts';
import { parseCidr } from '../../base/ip/cidr.ts';
import { parseIp } from '../../base/ip/ip.ts';
import { encodeRequest, type RequestFrame } from '../../edge/cni/frame.ts';
import type { CniReply } from '../../edge/cni/result/reply.ts';
import { ROUTE_PROTOCOL } from '../../edge/marks/marks.ts';
import type { ClusterNode } from '../../plan/node/cluster-node.ts';
import { type RunningAgent, startAgent } from '../agent.ts';
import type { Edges } from '../edges.ts';
import type { AgentStatus } from '../serve/status.ts';
import { createFakeEdges, type FakeEdges, type FakeEdgesOptions } from './fake-edges.ts';
import type { Life } from './fake-life.ts';

/** @param number 1 is the node itself. */
export function nodeRecord(number: number, change: Partial<ClusterNode> = {}): ClusterNode {
  return {
    name: `node-${number}`,
    uid: `uid-${number}`,
    createdAt: `2026-01-01T00:00:${String(number).padStart(2, '0')}Z`,
    internalIps: [parseIp(`192.168.1.${number + 1}`)],
    podCidrs: [parseCidr(`10.244.${number - 1}.0/24`)],
    ...change,
  };
}

export type Call = {
  /** Also the name of its namespace, at `/run/netns/`. */
  container: string;
  /** `namespace/name`. */
  pod?: string;
  ports?: readonly { hostPort: number; containerPort: number; protocol: string }[];
  configuration?: object;
};

export type FakeAgent = RunningAgent & {
  life: Life;
  /** It is gone at once, and nothing is tidied up. */
  kill(): void;
};

export type FakeNode = FakeEdges & {
  readonly directory: string;
  readonly stateDirectory: string;
  /** Changes the text of the configuration, which a running agent takes up. */
  configure(change: (text: string) => string): void;
  /** @param change of the edges that it gets. */
  start(change?: (edges: Edges) => Edges): Promise<FakeAgent>;
  /** Begins to start one: the promise never resolves where it is killed before it serves. */
  begin(change?: (edges: Edges) => Edges): { life: Life; started: Promise<FakeAgent> };
  /** What the runtime is answered; as the plugin it keeps a DEL that no agent answers. The clock is not turned. */
  ask(command: string, call: Call): Promise<CniReply>;
  /** The same, with the clock turned until it is answered. */
  call(command: string, call: Call): Promise<CniReply>;
  /** Turns the clock until it is settled. */
  settled<T>(what: string, promise: Promise<T>): Promise<T>;
  status(): Promise<AgentStatus>;
  /** In one text. */
  problems(): Promise<string>;
  /** Destinations of our routes. */
  routes(): string[];
  /** Files of DELs that the plugin had to keep. */
  kept(): string[];
  [Symbol.dispose](): void;
};

/** A file system without a disk, on which every write would be waited for. */
const MEMORY = '/dev/shm';

export type FakeNodeOptions = FakeEdgesOptions & {
  /** Lines of its configuration, in place of those with the same key. */
  configuration?: Readonly<Record<string, string>>;
};

/** A node with an interface, in a cluster of two, unless its nodes are set otherwise. */
export function createFakeNode({ configuration = {}, ...options }: FakeNodeOptions = {}): FakeNode {
  const directory = mkdtempSync(join(existsSync(MEMORY) ? MEMORY : tmpdir(), 'flt-whole-'));
  const stateDirectory = join(directory, 'state');
  const keys = {
    node: '{ name: node-1 }',
    podNetwork: '[10.244.0.0/16]',
    cluster: '{ directory: /nowhere }',
    paths: `{ socketDirectory: ${directory}, stateDirectory: ${stateDirectory}, sysctlDirectory: ${directory} }`,
    cni: '{ confDirectory: "" }',
    metrics: '{ address: "" }',
    log: '{ level: info, format: text }',
    ...configuration,
  };
  let text = Object.entries(keys)
    .map(([key, value]) => `${key}: ${value}\n`)
    .join('');
  const fakes = createFakeEdges(() => parseConfiguration(text, 'test'), options);
  fakes.foreign.apply([
    { op: 'link.change', change: { index: 1, up: true } },
    { op: 'link.create', link: { index: 2, name: 'eth0', up: true, mtu: 1500, kind: { type: 'bridge' } } },
    {
      op: 'address.replace',
      address: { linkIndex: 2, ip: parseIp('192.168.1.2'), prefixLength: 24, scope: 0 },
    },
  ]);
  fakes.cluster.setNodes([nodeRecord(1), nodeRecord(2)]);
  const { clock } = fakes;
  const agents = new Set<FakeAgent>();
  const settled = async <T>(what: string, promise: Promise<T>): Promise<T> => {
    let isSettled = false;
    const settle = () => {
      isSettled = true;
    };
    promise.then(settle, settle);
    await clock.until(what, () => isSettled);
    return promise;
  };
  const begin: FakeNode['begin'] = (change = (edges) => edges) => {
    const { edges, life } = fakes.open();
    const starting = startAgent(change(edges), fakes.configuration).catch((error: unknown) => {
      if (!life.isOver) throw error;
      return new Promise<never>(() => undefined);
    });
    const started = starting.then((running) => {
      const agent: FakeAgent = {
        ...running,
        life,
        stop: () => {
          agents.delete(agent);
          return running.stop();
        },
        kill: () => {
          agents.delete(agent);
          life.kill();
        },
      };
      agents.add(agent);
      return agent;
    });
    return { life, started };
  };
  const ask: FakeNode['ask'] = async (command, call) => {
    const frame = frameOf(command, call);
    const { plugins } = fakes;
    const answered = plugins?.handler(frame);
    const reply = await Promise.race([answered, plugins?.life.end]);
    if (reply !== undefined) return reply;
    if (command !== 'DEL') return { exitCode: 1, stdout: '{"code":11,"msg":"no agent answers"}' };
    const pending = join(stateDirectory, 'pending');
    try {
      mkdirSync(pending, { recursive: true });
      writeFileSync(join(pending, `${call.container}.del`), encodeRequest(frame));
    } catch (error) {
      return { exitCode: 1, stdout: `{"code":11,"msg":${JSON.stringify(describeError(error))}}` };
    }
    return { exitCode: 0, stdout: '' };
  };
  const status = () => {
    if (fakes.questions === undefined) throw new TypeError('no agent serves');
    return fakes.questions.status();
  };
  return {
    ...fakes,
    get plugins() {
      return fakes.plugins;
    },
    get questions() {
      return fakes.questions;
    },
    directory,
    stateDirectory,
    configure: (change) => {
      text = change(text);
      fakes.changeConfiguration();
    },
    begin,
    start: (change) => settled('the agent serves', begin(change).started),
    ask,
    call: (command, call) => settled(`${command} is answered`, ask(command, call)),
    settled,
    status,
    problems: async () => (await status()).problems.join('\n'),
    routes: () =>
      fakes.foreign
        .routes({ protocol: ROUTE_PROTOCOL })
        .filter(({ type }) => type === 'unicast')
        .map(({ destination }) => String(destination))
        .toSorted((a, b) => a.localeCompare(b)),
    kept: () => {
      try {
        return readdirSync(join(stateDirectory, 'pending'));
      } catch {
        return [];
      }
    },
    [Symbol.dispose]: () => {
      for (const agent of agents) agent.kill();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function frameOf(command: string, { container, pod, ports = [], configuration }: Call): RequestFrame {
  const [namespace, name] = pod?.split('/') ?? [];
  return {
    environment: {
      CNI_COMMAND: command,
      ...(command === 'GC' || command === 'STATUS'
        ? {}
        : {
            CNI_CONTAINERID: container,
            CNI_NETNS: `/run/netns/${container}`,
            CNI_IFNAME: 'eth0',
            ...(pod === undefined
              ? {}
              : { CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${name}` }),
          }),
      CNI_PATH: '/x',
    },
    stdin: JSON.stringify({
      cniVersion: '1.1.0',
      name: 'net',
      ...(ports.length === 0 ? {} : { runtimeConfig: { portMappings: ports } }),
      ...configuration,
    }),
  };
}

/** The address that an ADD gave. */
export function addressOf({ exitCode, stdout }: CniReply): string {
  if (exitCode !== 0) throw new Error(`the ADD failed: ${stdout}`);
  return (JSON.parse(stdout) as { ips: { address: string }[] }).ips[0]!.address;
}
