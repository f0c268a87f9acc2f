/** How soon changes of the cluster are in force on a node with a real agent, and what the agent pays for it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ipBatch, namespacePath } from '../../lab/namespaces.ts';
import { agentProcesses, startAgentProcess } from '../../lab/processes.ts';
import { callPluginOrFail } from '../../lab/runtime.ts';
import { NetworkNamespace } from '../../src/edge/netlink/namespace.ts';
import { NetlinkSocket } from '../../src/edge/netlink/socket.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { type Case, type Ratio, summarize } from '../shared/bench.ts';
import { createHosts, hostName } from '../shared/cluster.ts';
import { LOCAL_PODS, localPod, POD_PATH, POLICY_PATH, podObject, policyObject } from './cluster-objects.ts';
import type { ApiChange } from './serve-api.ts';

const SERVER = fileURLToPath(new URL('serve-api.ts', import.meta.url));
const NODE = 'node-1';
/** How often each is done. */
const OFTEN = { times: 100, starts: 3 };
/** Milliseconds without a transaction after which a change is over. */
const QUIET_MS = 60;
const NETLINK_NETFILTER = 12;
const NFNLGRP_NFTABLES = 7;
/** Milliseconds and MiB that are wanted: docs/adr/0006-policy.md. */
const BUDGETS = { policy: 100, membership: 20, add: 10, addTail: 50, stall: 50, memory: 120 } as const;

type Api = { change(change: ApiChange): Promise<bigint>; child: ChildProcess };
type Setup = {
  api: Api;
  home: string;
  socket: string;
  transactions: bigint[];
  often: typeof OFTEN;
  tell: (step: string) => void;
};

export async function measureChanges(
  directories: string[],
  tell: (step: string) => void,
  often = OFTEN,
): Promise<{ cases: Case[]; ratios: Ratio[] }> {
  const home = mkdtempSync(join(tmpdir(), 'flb-'));
  directories.push(home);
  await createHosts([NODE]);
  await ipBatch(hostName(NODE), [
    'link add eth0 type bridge',
    'addr add 192.168.1.2/24 dev eth0',
    'link set eth0 up',
  ]);
  tell('10,000 pods and 1,000 policies behind an API');
  const api = await startApi();
  try {
    using namespace = NetworkNamespace.open(namespacePath(hostName(NODE)));
    using socket = new NetlinkSocket(NETLINK_NETFILTER, namespace, [NFNLGRP_NFTABLES]);
    const setup = {
      api,
      home,
      socket: join(home, 'run', 'api.sock'),
      transactions: [] as bigint[],
      often,
      tell,
    };
    const stop = socket.watch(() => void setup.transactions.push(process.hrtime.bigint()));
    try {
      return await measure(setup);
    } finally {
      stop();
    }
  } finally {
    api.child.kill();
  }
}

async function measure(setup: Setup) {
  const { tell, often } = setup;
  const started: number[] = [];
  for (let start = 0; start < often.starts; start++) {
    tell(`the agent's start (${start + 1} of ${often.starts})`);
    started.push(await startAgent(setup));
    if (start === 0) await attachLocalPods(setup.home);
  }
  const afterStart = await askStatus(setup.socket);
  const memory = [residentOf('VmRSS'), residentOf('VmHWM')] as const;
  const quiet = await timeAllAdds(setup, 'quiet');
  tell(`${often.times} policies come and go`);
  const policies = await timePolicies(setup);
  tell(`${often.times} pods get other labels`);
  const labels = await timeLabels(setup);
  tell(`${often.times} pods join and leave`);
  const joins = await timeJoins(setup);
  const busy = await timeAddsAmid(setup);
  const after = await askStatus(setup.socket);
  const cases = [
    summarize('start, 10,000 pods, 1,000 policies', 'until in force', 'ms', started),
    summarize('a policy more or less', 'until in force', 'ms', policies),
    summarize('a pod with another label', 'until in force', 'ms', labels),
    summarize('a pod more or less', 'until in force', 'ms', joins),
    summarize('event loop, start', 'longest stall', 'ms', [afterStart.eventLoopDelay.max]),
    summarize('event loop, start and changes', 'longest stall', 'ms', [after.eventLoopDelay.max]),
    summarize('agent', 'resident memory', 'MiB', [memory[0]]),
    summarize('agent', 'resident memory, peak', 'MiB', [memory[1]]),
    ...[...quiet].map(([caller, times]) =>
      summarize(`ADD of ${caller}, nothing changes`, 'ADD', 'ms', times),
    ),
    ...[...busy].map(([caller, times]) => summarize(`ADD of ${caller}, policies change`, 'ADD', 'ms', times)),
  ];
  const p99 = (values: readonly number[]) =>
    values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.99)]!;
  const median = (values: readonly number[]) => summarize('', '', '', values).median;
  return {
    cases,
    ratios: [
      { key: 'policy_change_p99_vs_budget', value: p99(policies) / BUDGETS.policy, budget: 1 },
      { key: 'policy_change_p50_vs_budget', value: median(policies) / BUDGETS.policy, budget: 1 },
      { key: 'label_change_p99_vs_budget', value: p99(labels) / BUDGETS.membership, budget: 1 },
      { key: 'label_change_p50_vs_budget', value: median(labels) / BUDGETS.membership, budget: 1 },
      { key: 'pod_joins_p99_vs_budget', value: p99(joins) / BUDGETS.membership, budget: 1 },
      { key: 'pod_joins_p50_vs_budget', value: median(joins) / BUDGETS.membership, budget: 1 },
      { key: 'stall_start_vs_budget', value: afterStart.eventLoopDelay.max / BUDGETS.stall, budget: 1 },
      { key: 'stall_changes_vs_budget', value: after.eventLoopDelay.max / BUDGETS.stall, budget: 1 },
      { key: 'memory_vs_budget', value: memory[0] / BUDGETS.memory, budget: 1 },
      ...(['quiet', 'amid_changes'] as const).flatMap((state) => {
        const all = [...(state === 'quiet' ? quiet : busy).values()];
        return [
          { key: `add_${state}_p50_vs_budget`, value: Math.max(...all.map(median)) / BUDGETS.add, budget: 1 },
          {
            key: `add_${state}_p99_vs_budget`,
            value: Math.max(...all.map(p99)) / BUDGETS.addTail,
            budget: 1,
          },
        ];
      }),
    ],
  };
}

async function startApi(): Promise<Api> {
  const child = spawn('nsenter', [`--net=${namespacePath(hostName(NODE))}`, process.execPath, SERVER], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => ((await lines.next()) as { value: string }).value;
  ports.set(child, Number(await next()));
  return {
    child,
    change: async (change) => {
      child.stdin.write(`${JSON.stringify(change)}\n`);
      return BigInt(await next());
    },
  };
}

const ports = new WeakMap<ChildProcess, number>();

/** @returns milliseconds from the start of the process until the policies are in force. */
async function startAgent({ api, home, socket }: Setup): Promise<number> {
  for (const pid of agentProcesses(hostName(NODE))) process.kill(pid, 'SIGKILL');
  while (agentProcesses(hostName(NODE)).length > 0) await sleep(5);
  const port = ports.get(api.child)!;
  const kubeconfig = join(home, 'kubeconfig');
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      'current-context': 'bench',
      contexts: [{ name: 'bench', context: { cluster: 'bench', user: 'bench' } }],
      clusters: [{ name: 'bench', cluster: { server: `http://127.0.0.1:${port}` } }],
      users: [{ name: 'bench', user: {} }],
    }),
  );
  mkdirSync(join(home, 'state'), { recursive: true });
  writeFileSync(
    join(home, 'config.yaml'),
    [
      `node: { name: ${NODE} }`,
      `cluster: { source: kubernetes, kubeconfig: ${kubeconfig} }`,
      `paths: { socketDirectory: ${join(home, 'run')}, stateDirectory: ${join(home, 'state')} }`,
      'log: { level: warn }',
      '',
    ].join('\n'),
  );
  const began = performance.now();
  startAgentProcess(hostName(NODE), join(home, 'config.yaml'), join(home, 'agent.log'));
  for (;;) {
    const status = await askStatus(socket).catch(() => undefined);
    if (status?.readiness.ready === true && status.policy?.enforced !== undefined) break;
    if (performance.now() - began > 120_000) throw new Error(`the agent does not serve: ${home}/agent.log`);
    await sleep(10);
  }
  return performance.now() - began;
}

const call = (home: string, id: string, host: string, pod?: { namespace: string; name: string }) => ({
  configuration: {
    cniVersion: '1.1.0',
    name: 'bench',
    type: 'fairlead-cni',
    agentSocket: join(home, 'run', 'cni.sock'),
    stateDirectory: join(home, 'state'),
  },
  containerId: id,
  netns: namespacePath(hostName(host)),
  ifname: 'eth0',
  ...(pod === undefined
    ? {}
    : { args: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${pod.namespace};K8S_POD_NAME=${pod.name}` }),
});

async function attachLocalPods(home: string): Promise<void> {
  for (let index = 0; index < LOCAL_PODS; index++) {
    await createHosts([`l${index}`]);
    await callPluginOrFail({ command: 'ADD', ...call(home, `local-${index}`, `l${index}`, localPod(index)) });
  }
}

/** From the change at the API to the end of the last transaction that it causes. */
async function timeChange({ api, transactions, socket }: Setup, change: ApiChange): Promise<number> {
  const enforced = async () => JSON.stringify((await askStatus(socket)).policy?.enforced);
  const before = await enforced();
  transactions.length = 0;
  const began = await api.change(change);
  const since = (moment: bigint) => Number(moment - began) / 1e6;
  const deadline = performance.now() + 20_000;
  while (
    transactions.length === 0 ||
    since(process.hrtime.bigint()) - since(transactions.at(-1)!) < QUIET_MS ||
    (await enforced()) === before
  ) {
    if (performance.now() > deadline)
      throw new Error(`nothing changed in the kernel: ${JSON.stringify(change)}`);
    await sleep(20);
  }
  return since(transactions.at(-1)!);
}

async function timePolicies(setup: Setup): Promise<number[]> {
  const times: number[] = [];
  for (let time = 0; time < setup.often.times; time++) {
    const { namespace } = localPod(time % LOCAL_PODS);
    const put = policyObject(namespace, `new-${time}`, {
      podSelector: { matchLabels: { app: 'web' } },
      ingress: [
        {
          from: [
            { podSelector: { matchLabels: { app: 'job' } } },
            { ipBlock: { cidr: `172.16.${time}.0/24` } },
          ],
          ports: [{ port: 7000 + time }],
        },
      ],
    });
    times.push(await timeChange(setup, { path: POLICY_PATH, put }));
    if (time % 2 === 1) times.push(await timeChange(setup, { path: POLICY_PATH, delete: `new-${time}` }));
  }
  return times;
}

/** A remote pod that local ones allow is relabelled so that they do not, and back. */
async function timeLabels(setup: Setup): Promise<number[]> {
  const times: number[] = [];
  for (let time = 0; time < setup.often.times; time++) {
    const { namespace } = localPod(time % LOCAL_PODS);
    const number = Number(namespace.slice(3)) * 100 + 1;
    const ip = `10.245.${number >> 8}.${number & 255}`;
    // Once one that the pod's rules mean, once one that they do not.
    const app = time < LOCAL_PODS ? 'cache' : 'api';
    times.push(
      await timeChange(setup, { path: POD_PATH, put: podObject(namespace, `${namespace}-pod-1`, app, ip) }),
    );
  }
  return times;
}

async function timeJoins(setup: Setup): Promise<number[]> {
  const times: number[] = [];
  for (let time = 0; time < setup.often.times; time++) {
    const { namespace } = localPod(time % LOCAL_PODS);
    const put = podObject(namespace, `join-${time}`, 'api', `10.246.0.${time + 1}`);
    times.push(await timeChange(setup, { path: POD_PATH, put }));
    times.push(await timeChange(setup, { path: POD_PATH, delete: `join-${time}` }));
  }
  return times;
}

/** What a kubelet names in its call: no pod, one that the API has told of, and one that it has not told of yet. */
const CALLERS = ['no pod', 'a pod', 'a pod not told of yet'] as const;
type Caller = (typeof CALLERS)[number];

/** Each into a namespace that is new, as a runtime does it: the interface of a DEL is taken away later. */
async function timeAdds(
  { api, home, socket, often }: Setup,
  caller: Caller,
  round: string,
): Promise<number[]> {
  const times: number[] = [];
  const podOf = (time: number) => ({
    namespace: localPod(time % LOCAL_PODS).namespace,
    name: `${round}-${time}`,
  });
  if (caller === 'a pod') {
    const enforced = async () =>
      JSON.stringify((await askStatus(socket).catch(() => undefined))?.policy?.enforced);
    const before = await enforced();
    // Without an address, as a kubelet has them that is about to start them.
    for (let time = 0; time < often.times; time++) {
      const { namespace, name } = podOf(time);
      await api.change({ path: POD_PATH, put: podObject(namespace, name, 'web', undefined, true) });
    }
    while ((await enforced()) === before) await sleep(10);
    await sleep(1000);
  }
  for (let time = 0; time < often.times; time++) {
    const host = `fresh-${performance.now()}`;
    await createHosts([host]);
    const one = call(home, host, host, caller === 'no pod' ? undefined : podOf(time));
    const began = performance.now();
    await callPluginOrFail({ command: 'ADD', ...one });
    times.push(performance.now() - began);
    await callPluginOrFail({ command: 'DEL', ...one });
    await sleep(20);
  }
  return times;
}

async function timeAllAdds(setup: Setup, round: string): Promise<Map<Caller, number[]>> {
  const times = new Map<Caller, number[]>();
  for (const [index, caller] of CALLERS.entries()) {
    setup.tell(`ADD of ${caller}, ${round}`);
    times.set(caller, await timeAdds(setup, caller, `${round}-${index}`));
  }
  return times;
}

async function timeAddsAmid(setup: Setup): Promise<Map<Caller, number[]>> {
  const state = { ended: false };
  const changing = (async () => {
    for (let time = 0; !state.ended; time++) {
      const put = policyObject(localPod(time % LOCAL_PODS).namespace, 'churn', {
        podSelector: {},
        ingress: [{ ports: [{ port: 1000 + (time % 1000) }] }],
      });
      await setup.api.change({ path: POLICY_PATH, put });
      await sleep(100);
    }
  })();
  try {
    return await timeAllAdds(setup, 'busy');
  } finally {
    state.ended = true;
    await changing;
  }
}

/** MiB. */
function residentOf(what: 'VmRSS' | 'VmHWM'): number {
  const [pid] = agentProcesses(hostName(NODE));
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`${what}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
}
