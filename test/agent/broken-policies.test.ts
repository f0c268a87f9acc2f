/** What an API server would have refused reaches an agent all the same: named, its own pods closed, all others as they were. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { probe } from '../../lab/prober.ts';
import { FAIRLEAD, startProbe } from '../../lab/processes.ts';
import { callPluginOrFail } from '../../lab/runtime.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { type FakeObject, nodeObject } from '../kube/fake-api.ts';
import { createNamespace } from '../namespace.ts';
import { until } from '../until.ts';

const FAKE_API = join(import.meta.dirname, '../kube/serve-objects.ts');
const POLICIES = '/apis/networking.k8s.io/v1/networkpolicies';
const from = (cidr: string, ...except: string[]) => ({ from: [{ ipBlock: { cidr, except } }] });
/** As deep as a stack: a walk of it without end does not come back. */
const nested = (depth: number): object =>
  JSON.parse(`${'{"podSelector":'.repeat(depth)}{}${'}'.repeat(depth)}`) as object;

/** Each selects one pod, called like it. `problem` is absent where nothing is wrong but nothing is let in. */
const BROKEN: Readonly<Record<string, { spec: (pods: object) => object; problem?: RegExp }>> = {
  cidr: {
    spec: (podSelector) => ({ podSelector, ingress: [from('10.0.0.0/33')] }),
    problem: /ingress\[0\]\.from\[0\]\.ipBlock\.cidr: "10\.0\.0\.0\/33" is not an IP range/,
  },
  port: {
    spec: (podSelector) => ({ podSelector, ingress: [{ ports: [{ port: 0 }] }] }),
    problem: /ports\[0\]\.port: 0 is not a port; write 1 to 65535/,
  },
  operator: {
    spec: (podSelector) => ({
      podSelector,
      ingress: [{ from: [{ podSelector: { matchExpressions: [{ key: 'a', operator: 'Like' }] } }] }],
    }),
    problem: /operator: "Like" is unknown; write In, NotIn, Exists or DoesNotExist/,
  },
  range: {
    spec: (podSelector) => ({ podSelector, ingress: [{ ports: [{ port: 9000, endPort: 8000 }] }] }),
    problem: /endPort: 8000 does not end a range that begins with port 9000/,
  },
  except: {
    spec: (podSelector) => ({ podSelector, ingress: [from('10.244.0.0/16', '10.0.0.0/8')] }),
    problem: /except\[0\]: 10\.0\.0\.0\/8 is not within 10\.244\.0\.0\/16/,
  },
  types: {
    spec: (podSelector) => ({ podSelector, policyTypes: ['Sideways'], ingress: [{}] }),
    problem: /policyTypes: "Sideways" is unknown; write Ingress or Egress/,
  },
  crowd: {
    spec: (podSelector) => ({
      podSelector,
      ingress: [{ from: Array.from({ length: 20_001 }, () => ({ podSelector: {} })) }],
    }),
    problem: /spec: has more than 20000 values; split it/,
  },
  nested: {
    spec: (podSelector) => ({
      podSelector,
      ingress: [{ from: [{ podSelector: nested(2000) }, nested(2000)] }, 7],
    }),
    problem: /ingress\[1\]: 7 is not a rule/,
  },
  lists: {
    spec: (podSelector) => ({ podSelector, ingress: { from: 'everywhere' } }),
    problem: /spec\.ingress: .* is not a list/,
  },
  family: { spec: (podSelector) => ({ podSelector, ingress: [from('fd00::/8')] }) },
  label: {
    spec: (podSelector) => ({
      podSelector,
      ingress: [{ from: [{ podSelector: { matchLabels: { app: 'x'.repeat(100_000) } } }] }],
    }),
  },
};

test('broken policies: named, their pods closed, all others as they were', async () => {
  await using stack = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'flt-agent-'));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const node = stack.use(createNamespace());
  for (const command of [
    'link set lo up',
    'link add eth0 type veth peer name wire',
    'link set wire up',
    'addr add 192.168.1.2/24 dev eth0',
    'link set eth0 up',
  ])
    node.exec('ip', ...command.split(' '));
  const children: ChildProcess[] = [];
  stack.defer(() => {
    for (const child of children) child.kill('SIGKILL');
  });
  const inside = (...command: string[]): ChildProcess => {
    const child = spawn('nsenter', [`--net=${node.path}`, '--', ...command], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    children.push(child);
    return child;
  };

  const names = [...Object.keys(BROKEN), 'huge', 'good', 'many', 'friend', 'stranger'];
  const addressOf = (name: string) => `10.244.0.${names.indexOf(name) + 2}`;
  const selected = (app: string) => ({ matchLabels: { app } });
  const policy = (name: string, spec: object): [string, FakeObject] => [
    POLICIES,
    { metadata: { namespace: 'default', name }, spec: spec as Record<string, unknown> },
  ];
  const objects: [string, FakeObject][] = [
    ['/api/v1/nodes', nodeObject('node-1', ['10.244.0.0/24'])],
    ['/api/v1/namespaces', { metadata: { name: 'default' } }],
    ...names.map((name): [string, FakeObject] => [
      '/api/v1/pods',
      {
        // One whose labels cannot be read is not known.
        metadata: {
          namespace: 'default',
          name,
          labels: { app: name === 'huge' ? 'x'.repeat(5_000_000) : name },
        },
        spec: { nodeName: 'node-1' },
        status: { phase: 'Running', podIP: addressOf(name), podIPs: [{ ip: addressOf(name) }] },
      },
    ]),
    ...Object.entries(BROKEN).map(([name, { spec }]) => policy(name, spec(selected(name)))),
    policy('good', {
      podSelector: selected('good'),
      ingress: [{ from: [{ podSelector: selected('friend') }] }],
    }),
    policy('many', {
      podSelector: selected('many'),
      ingress: [
        {
          from: [
            ...Array.from({ length: 9999 }, (_, index) => ({
              ipBlock: { cidr: `10.${index >> 8}.${index & 255}.0/24`, except: [] },
            })).filter(({ ipBlock: { cidr } }) => !cidr.startsWith('10.244.')),
            { ipBlock: { cidr: `${addressOf('friend')}/32` } },
          ],
        },
      ],
    }),
  ];
  writeFileSync(join(directory, 'objects.json'), JSON.stringify(objects));
  const [port] = (await once(
    inside(process.execPath, FAKE_API, join(directory, 'objects.json')).stdout!,
    'data',
  )) as [Buffer];
  writeFileSync(
    join(directory, 'kubeconfig'),
    `current-context: c
contexts: [{name: c, context: {cluster: c}}]
clusters: [{name: c, cluster: {server: "http://127.0.0.1:${String(port).trim()}"}}]
`,
  );
  writeFileSync(
    join(directory, 'fairlead.yaml'),
    `node: { name: node-1 }
cluster: { source: kubernetes, kubeconfig: ${join(directory, 'kubeconfig')} }
paths: { socketDirectory: ${directory}, stateDirectory: ${directory} }
`,
  );
  inside(FAIRLEAD, 'agent', '--config', join(directory, 'fairlead.yaml'));
  const ask = () => askStatus(join(directory, 'api.sock')).catch(() => undefined);
  await until('the agent takes pods and knows the policies', async () => {
    const status = await ask();
    return status?.readiness.ready === true && status.policy?.synced === true;
  });
  const spaces = new Map<string, string>();
  for (const name of names) {
    const pod = stack.use(createNamespace(name));
    spaces.set(name, pod.name);
    const text = await callPluginOrFail({
      command: 'ADD',
      configuration: {
        cniVersion: '1.1.0',
        name: 'test',
        type: 'fairlead-cni',
        agentSocket: join(directory, 'cni.sock'),
        stateDirectory: directory,
      },
      containerId: name,
      netns: pod.path,
      ifname: 'eth0',
      args: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${name}`,
    });
    assert.match(text, new RegExp(`"${addressOf(name).replaceAll('.', '\\.')}/32"`));
    await startProbe(pod.name, name);
    stack.defer(() => {
      for (const pid of node.exec('ip', 'netns', 'pids', pod.name).split('\n').filter(Boolean))
        process.kill(Number(pid));
    });
  }

  const { problems = [], policy: enforced } = (await ask()) ?? {};
  assert.equal(enforced?.isolated, names.length - 2, 'all but the two that ask');
  for (const [name, { problem }] of Object.entries(BROKEN)) {
    const own = problems.filter((text) => text.startsWith(`networkpolicy default/${name}: spec`));
    assert.equal(own.length, problem === undefined ? 0 : 1, `${name}: ${own.join()}`);
    if (problem !== undefined) assert.match(own[0]!, problem);
  }
  assert.match(problems.join('\n'), /pod default\/huge: .*label/);

  const asked = async (asking: string) => {
    const targets = names
      .filter((name) => name !== asking)
      .map(
        (id) =>
          ({ id, protocol: 'tcp', address: addressOf(id), port: 8080, size: 0, timeoutMs: 1000 }) as const,
      );
    const outcomes = await probe(spaces.get(asking)!, targets);
    return outcomes
      .filter(({ ok }) => ok)
      .map(({ id }) => id)
      .toSorted();
  };
  assert.deepEqual(await asked('friend'), ['good', 'many', 'stranger']);
  assert.deepEqual(await asked('stranger'), ['friend']);
  // What cannot be read is closed in both directions; what can be read says ingress alone.
  assert.deepEqual(await asked('cidr'), []);
  assert.deepEqual(await asked('family'), ['friend', 'stranger']);
});
