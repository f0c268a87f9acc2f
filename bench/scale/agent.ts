/** The agent that is measured: started, asked, and read out of /proc and its log. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { agentProcesses, startAgentProcess } from '../../lab/processes.ts';
import { request } from '../../src/base/http/http.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { POD_NETWORK } from './objects.ts';

/** One line of its log: a resync that changed something. */
export type LoggedResync = { reasons: readonly string[]; operations: number; milliseconds: number };

export type MeasuredAgent = {
  /** All that changed something, so far. */
  resyncs: () => LoggedResync[];
  /** MiB. */
  memory: () => { resident: number; ofFiles: number; most: number };
  /** Milliseconds on processors since its start. */
  cpu: () => number;
  status: () => ReturnType<typeof askStatus>;
  /** Milliseconds until it answers a trivial question. */
  ping: () => Promise<number>;
};

const RESYNCED = 'the kernel was brought to what it should hold';
/** Of a second: USER_HZ, which is 100 on every architecture that matters. */
const TICK_MS = 10;

export async function startAgent(
  namespace: string,
  directory: string,
  kubeconfig: string,
): Promise<MeasuredAgent> {
  mkdirSync(directory, { recursive: true });
  const [log, sockets] = [join(directory, 'agent.log'), join(directory, 'run')];
  const configuration = join(directory, 'config.yaml');
  const lines = [
    'node: { name: node-0 }',
    `podNetwork: [${POD_NETWORK}]`,
    `cluster: { source: kubernetes, kubeconfig: ${kubeconfig} }`,
    `paths: { socketDirectory: ${sockets}, stateDirectory: ${join(directory, 'state')} }`,
    // There is no one to answer.
    'probes: { intervalSeconds: 0 }',
    'log: { level: info, format: json }',
  ];
  writeFileSync(configuration, `${lines.join('\n')}\n`);
  startAgentProcess(namespace, configuration, log);
  const pid = await until('the agent runs', () => agentProcesses(namespace)[0]);
  const socket = join(sockets, 'api.sock');
  return {
    resyncs: () =>
      readFileSync(log, 'utf8')
        .split('\n')
        .filter((line) => line.includes(RESYNCED))
        .map((line) => JSON.parse(line) as LoggedResync),
    memory: () => {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      const mib = (field: string) => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
      return { resident: mib('VmRSS'), ofFiles: mib('RssFile'), most: mib('VmHWM') };
    },
    cpu: () => {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
      return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
    },
    status: () => askStatus(socket),
    ping: () => ping(socket),
  };
}

/** @throws Error where it does not come true within a minute. */
export async function until<T>(what: string, look: () => T | undefined | Promise<T | undefined>): Promise<T> {
  for (let attempt = 0; attempt < 6000; attempt++) {
    const found = await look();
    if (found !== undefined) return found;
    await sleep(10);
  }
  throw new Error(`waited a minute in vain until ${what}`);
}

function ping(socketPath: string): Promise<number> {
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const question = request({ socketPath, path: '/healthz' }, (response) => {
      response.resume();
      response.on('end', () => resolve(performance.now() - started));
    });
    question.on('error', reject);
    question.end();
  });
}
