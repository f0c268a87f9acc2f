import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiObject, Fields } from '../../../lab/api/storage/object.ts';
import { type Container, commandOf, environmentOf, nextStep } from '../../../lab/kubelet/container.ts';
import { chooseNode, planPods, uidOf } from '../../../lab/kubelet/plan.ts';
import { statusOf } from '../../../lab/kubelet/pod-status.ts';
import { afterAnswer, isDue, readinessProbeOf, UNASKED } from '../../../lab/kubelet/readiness.ts';
import type { LabPod } from '../../../lab/state.ts';
import { parseIp } from '../../../src/base/ip/ip.ts';

const NODES = new Set(['node-1', 'node-2']);
const NOW = Date.parse('2026-01-01T00:01:00Z');

function pod(
  name: string,
  more: { node?: string; phase?: string; ends?: true; namespace?: string; spec?: Fields } = {},
): ApiObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: more.namespace ?? 'default',
      uid: `uid-${name}`,
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...(more.ends === undefined ? {} : { deletionTimestamp: '2026-01-01T00:00:30Z' }),
    },
    spec: {
      restartPolicy: 'Always',
      containers: [{ name: 'c' }],
      ...(more.node === undefined ? {} : { nodeName: more.node }),
      ...more.spec,
    },
    status: { phase: more.phase ?? 'Pending' },
  };
}

function record(name: string, more: Partial<LabPod> = {}): LabPod {
  return {
    name,
    node: 'node-1',
    containerId: 'ab'.repeat(32),
    namespace: 'ns',
    ips: [parseIp('10.244.0.2')],
    uid: `uid-${name}`,
    ...more,
  };
}

function plan(pods: ApiObject[], records: LabPod[]): string[] {
  return planPods(pods, records, NODES).map((action) =>
    'record' in action ? `${action.do} ${action.record.name}` : `${action.do} ${action.pod.metadata.name}`,
  );
}

test('what is done about a pod follows from its object and from what there is of it', () => {
  const { uid: _, ...byCommand } = record('made');
  const { ips: __, ...cutOff } = record('a');
  const cases: [string, ApiObject[], LabPod[], string[]][] = [
    ['new', [pod('a')], [], ['bind a']],
    ['bound', [pod('a', { node: 'node-1' })], [], ['start a']],
    ['bound to a node of nobody', [pod('a', { node: 'elsewhere' })], [], []],
    ['running', [pod('a', { node: 'node-1', phase: 'Running' })], [record('a')], []],
    ['ending', [pod('a', { node: 'node-1', phase: 'Running', ends: true })], [record('a')], ['stop a']],
    ['stopped', [pod('a', { node: 'node-1', phase: 'Running', ends: true })], [], ['forget a']],
    ['its object gone', [], [record('a')], ['stop a']],
    ['finished', [pod('a', { node: 'node-1', phase: 'Succeeded' })], [record('a')], ['stop a']],
    ['finished and stopped', [pod('a', { node: 'node-1', phase: 'Failed' })], [], []],
    ['removed by a command', [pod('a', { node: 'node-1', phase: 'Running' })], [], ['forget a']],
    ['made by a command', [], [byCommand], ['adopt made']],
    [
      'just being made by a command',
      [],
      [{ name: 'm', node: 'node-1', containerId: 'x', namespace: 'n' }],
      [],
    ],
    [
      'made by a command and known',
      [
        {
          ...pod('made', { node: 'node-1', phase: 'Running' }),
          metadata: { ...pod('made').metadata, uid: uidOf(byCommand) },
        },
      ],
      [byCommand],
      [],
    ],
    ['its start was cut off', [pod('a', { node: 'node-1' })], [cutOff], ['stop a']],
    ['its name is still taken', [pod('a', { node: 'node-1' })], [record('a', { uid: 'older' })], ['stop a']],
  ];
  for (const [what, pods, records, expected] of cases) assert.deepEqual(plan(pods, records), expected, what);
});

test('the node with the fewest pods is next, if it may be and its labels fit', () => {
  const node = (name: string, more: Fields = {}, labels: Record<string, string> = {}): ApiObject => ({
    ...pod(name),
    metadata: { ...pod(name).metadata, labels },
    spec: more,
  });
  const nodes = [
    node('node-10'),
    node('node-2', {}, { disk: 'fast' }),
    node('node-1', { unschedulable: true }),
  ];
  assert.equal(chooseNode(pod('a'), nodes, []), 'node-2');
  assert.equal(chooseNode(pod('a'), nodes, [pod('b', { node: 'node-2' })]), 'node-10');
  assert.equal(chooseNode(pod('a'), nodes, [pod('b', { node: 'node-2', phase: 'Succeeded' })]), 'node-2');
  assert.equal(
    chooseNode(pod('a', { spec: { nodeSelector: { disk: 'fast' } } }), nodes, [pod('b', { node: 'node-2' })]),
    'node-2',
  );
  assert.equal(chooseNode(pod('a', { spec: { nodeSelector: { disk: 'slow' } } }), nodes, []), undefined);
  const asks = (name: string, port: Fields, on?: string) =>
    pod(name, {
      ...(on === undefined ? {} : { node: on }),
      spec: { containers: [{ name: 'c', ports: [port] }] },
    });
  const taken = [
    asks('b', { hostPort: 80, containerPort: 8080 }, 'node-10'),
    asks('c', { hostPort: 80, hostIP: '192.168.1.3' }, 'node-2'),
  ];
  assert.equal(chooseNode(asks('a', { hostPort: 80 }), nodes, taken), undefined, 'one of everywhere');
  assert.equal(chooseNode(asks('a', { hostPort: 80, hostIP: '192.168.1.9' }), nodes, taken), 'node-2');
  assert.equal(chooseNode(asks('a', { hostPort: 80, protocol: 'UDP' }), nodes, taken), 'node-2');
});

test('a container is ready when its probe says so often enough, and no longer when it fails as often as it may', () => {
  const probe = readinessProbeOf({
    ports: [{ name: 'web', containerPort: 8080 }],
    readinessProbe: {
      httpGet: { port: 'web' },
      initialDelaySeconds: 2,
      periodSeconds: 5,
      successThreshold: 2,
    },
  })!;
  assert.deepEqual(probe.question, { by: 'http', port: 8080, path: '/', headers: [] });
  assert.equal(readinessProbeOf({}), undefined);
  assert.equal(readinessProbeOf({ readinessProbe: { tcpSocket: { port: 'none' } } })!.question.by, 'nothing');
  assert.equal(isDue(probe, UNASKED, 0, 1999), false);
  assert.equal(isDue(probe, UNASKED, 0, 2000), true);
  assert.equal(isDue(probe, { ...UNASKED, askedAt: 2000 }, 0, 6999), false);
  assert.equal(isDue(probe, { ...UNASKED, askedAt: 2000 }, 0, 7000), true);
  let state = UNASKED;
  const seen = [true, false, true, true, false, false, true, false, false, false].map((yes) => {
    state = afterAnswer(probe, state, yes);
    return state.ready;
  });
  assert.deepEqual(seen, [false, false, false, true, true, true, true, true, true, false]);
});

test('a container starts anew as its policy says, later each time', () => {
  const ended = (exitCode: number, restarts = 0): Container => ({
    name: 'c',
    pid: 1,
    startedAt: '2026-01-01T00:00:00Z',
    restarts,
    ended: { exitCode, reason: '', startedAt: '', finishedAt: '2026-01-01T00:00:59Z' },
  });
  assert.equal(nextStep({ name: 'c', startedAt: '', restarts: 0 }, 'Never', NOW), 'start');
  assert.equal(nextStep({ name: 'c', pid: 1, startedAt: '', restarts: 0 }, 'Never', NOW), 'runs');
  assert.equal(nextStep(ended(1), 'Never', NOW), 'done');
  assert.equal(nextStep(ended(0), 'OnFailure', NOW), 'done');
  assert.equal(nextStep(ended(1), 'OnFailure', NOW), 'start');
  assert.equal(nextStep(ended(0), 'Always', NOW), 'start');
  assert.deepEqual(nextStep(ended(0, 2), 'Always', NOW), { waitMs: 3000 });
  assert.deepEqual(nextStep(ended(0, 90), 'Always', NOW), { waitMs: 29_000 });
});

test('the status of a pod tells of its containers', () => {
  const phase = (containers: Container[] | undefined, policy = 'Always') => {
    const object = pod('a', { node: 'node-1', spec: { restartPolicy: policy } });
    const sandbox = {
      ips: ['10.244.0.2'],
      hostIps: ['192.168.1.2'],
      ...(containers === undefined ? {} : { containers }),
    };
    const status = statusOf(object, sandbox, { text: '2026-01-01T00:01:00Z', milliseconds: NOW });
    const ready = (status['conditions'] as { type: string; status: string }[]).find(
      ({ type }) => type === 'Ready',
    );
    return [status['phase'], ready?.status];
  };
  const running: Container = { name: 'c', pid: 1, startedAt: '', restarts: 0 };
  const ending = (exitCode: number) => ({
    ...running,
    ended: { exitCode, reason: '', startedAt: '', finishedAt: '2026-01-01T00:01:00Z' },
  });
  assert.deepEqual(phase(undefined), ['Running', 'True']);
  assert.deepEqual(phase([running]), ['Running', 'True']);
  assert.deepEqual(phase([ending(1)]), ['Running', 'False']);
  assert.deepEqual(phase([ending(1)], 'Never'), ['Failed', 'False']);
  assert.deepEqual(phase([ending(0)], 'Never'), ['Succeeded', 'False']);
});

test('commands are words with variables of the environment in them', () => {
  const environment = environmentOf(
    {
      env: [
        { name: 'A', value: '1' },
        { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
        { name: 'S', valueFrom: { secretKeyRef: {} } },
      ],
    },
    pod('a'),
    '10.244.0.2',
    '192.168.1.2',
  );
  assert.deepEqual(environment, { A: '1', IP: '10.244.0.2' });
  assert.deepEqual(commandOf({ command: ['echo', '$(A) $$(A) $(NONE)'], args: ['$(IP)'] }, environment), [
    'echo',
    '1 $(A) $(NONE)',
    '10.244.0.2',
  ]);
  assert.equal(commandOf({}, {}), undefined);
});
