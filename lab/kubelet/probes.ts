/** Asks the readinessProbes of the lab's pods: from their node, as a kubelet does, commands inside the pod. */
import { spawn } from 'node:child_process';
import { type ApiObject, listAt, textAt } from '../api/storage/object.ts';
import { namespacePath } from '../namespaces.ts';
import type { LabPod } from '../state.ts';
import type { LabPlan } from '../topology.ts';
import {
  afterAnswer,
  isDue,
  type Readiness,
  type ReadinessProbe,
  readinessProbeOf,
  UNASKED,
} from './readiness.ts';
import { withResolver } from './resolver.ts';

export type Probes = {
  /** Asks what is due. @returns whether the container is ready, as far as it is known now. */
  isReady: (pod: ApiObject, record: LabPod, container: string) => boolean;
  /** The pod is gone. */
  forget: (containerId: string) => void;
};

/** As bash opens connections: one program, and no other that a machine may lack. */
const CONNECT = 'exec 3<>"/dev/tcp/$1/$2"';
const GET = `${CONNECT} || exit 1
printf 'GET %s HTTP/1.1\\r\\nHost: %s\\r\\nUser-Agent: kube-probe/lab\\r\\n%sConnection: close\\r\\n\\r\\n' "$3" "$1:$2" "$4" >&3
read -r version status rest <&3
[ "$status" -ge 200 ] && [ "$status" -lt 400 ]`;

/** @param onChange a container is ready that was not, or the other way round. */
export function createProbes(plan: LabPlan, now: () => number, onChange: () => void): Probes {
  /** By pod and then by container and its start: what starts anew is asked anew. */
  const known = new Map<string, Map<string, Readiness>>();
  const asking = new Set<string>();
  return {
    isReady: (pod, record, name) => {
      const spec = listAt(pod, 'spec', 'containers').find((entry) => textAt(entry, 'name') === name);
      const probe = readinessProbeOf(spec);
      if (probe === undefined) return true;
      const startedAt =
        record.containers?.find((container) => container.name === name)?.startedAt ??
        textAt(pod, 'status', 'startTime');
      const own = known.get(record.containerId) ?? new Map<string, Readiness>();
      known.set(record.containerId, own);
      const key = `${name} ${startedAt}`;
      const readiness = own.get(key) ?? UNASKED;
      const id = `${record.containerId} ${key}`;
      if (asking.has(id) || !isDue(probe, readiness, Date.parse(startedAt), now())) return readiness.ready;
      asking.add(id);
      own.set(key, { ...readiness, askedAt: now() });
      ask(plan, record, probe)
        .then((yes) => {
          asking.delete(id);
          const before = own.get(key) ?? UNASKED;
          const next = afterAnswer(probe, before, yes);
          own.set(key, next);
          if (next.ready !== before.ready) onChange();
        })
        .catch(() => asking.delete(id));
      return readiness.ready;
    },
    forget: (containerId) => void known.delete(containerId),
  };
}

function ask(plan: LabPlan, record: LabPod, { question, host, timeoutMs }: ReadinessProbe): Promise<boolean> {
  const node = plan.nodes.find(({ name }) => name === record.node)?.namespace ?? record.namespace;
  const address = host ?? String(record.ips?.[0]);
  switch (question.by) {
    case 'exec':
      return succeeds(record.namespace, withResolver(plan, record.name, question.command), timeoutMs);
    case 'tcp':
      return succeeds(node, ['bash', '-c', CONNECT, 'probe', address, String(question.port)], timeoutMs);
    case 'http': {
      const headers = question.headers.map((header) => `${header}\r\n`).join('');
      const words = [address, String(question.port), question.path, headers];
      return succeeds(node, ['bash', '-c', GET, 'probe', ...words], timeoutMs);
    }
    case 'nothing':
      return Promise.resolve(false);
  }
}

function succeeds(namespace: string, command: readonly string[], timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn('nsenter', [`--net=${namespacePath(namespace)}`, '--', ...command], {
      stdio: 'ignore',
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    });
    child.once('error', () => resolve(false));
    child.once('exit', (status) => resolve(status === 0));
  });
}
