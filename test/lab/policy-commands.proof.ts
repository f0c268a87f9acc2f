/** The commands about policies as processes, against a cluster with an API: what they say, and what they refuse. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { labKubeconfig } from '../../lab/api-access.ts';
import { clientOf } from '../../lab/client.ts';
import { FAIRLEAD } from '../../lab/processes.ts';
import { nodePaths, readPods } from '../../lab/state.ts';
import type { CrowdLine } from '../../src/plan/policy/answer/matrix.ts';
import { askAgent } from '../../src/tools/status/ask.ts';
import type { WhyResult } from '../../src/tools/status/why.ts';
import { openUdpClient, reach } from '../agent/reach.ts';
import { until } from '../until.ts';
import { fairlead, startLab } from './fixture.ts';

const directory = mkdtempSync(join(tmpdir(), 'fairlead-policy-'));
after(() => rmSync(directory, { recursive: true }));
const plan = await startLab({ nodes: 2, pods: 2, api: true });
const client = clientOf(plan);
const paths = nodePaths(plan.options.name, 'node-1');
const kubeconfig = file(
  'kubeconfig',
  (await fairlead('lab', 'kubeconfig', '--name', plan.options.name)).stdout,
);
const pod = (name: string) => readPods(plan.options.name).find((one) => one.name === name)!;
const address = (name: string) => pod(name).ips![0]!;
const POLICIES = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies';

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const ask = (...args: string[]) => fairlead('policy', ...args, '--kubeconfig', kubeconfig);

function policyOf(name: string, spec: string): string {
  return `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: { name: ${name} }\nspec: ${spec}\n`;
}

async function create(name: string, spec: object): Promise<void> {
  await client.json({
    method: 'POST',
    path: POLICIES,
    body: { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name }, spec },
  });
}

for (const name of ['pod-1', 'pod-2', 'pod-3', 'pod-4']) {
  await until(`${name} is labelled`, () =>
    client
      .json({
        method: 'PATCH',
        path: `/api/v1/namespaces/default/pods/${name}`,
        contentType: 'application/merge-patch+json',
        body: { metadata: { labels: { app: name === 'pod-1' ? 'server' : 'client' } } },
      })
      .then(
        () => true,
        () => false,
      ),
  );
}
await create('server', {
  podSelector: { matchLabels: { app: 'server' } },
  ingress: [{ from: [{ podSelector: { matchLabels: { app: 'client' } } }], ports: [{ port: 8080 }] }],
});
const closed = file('closed.yaml', policyOf('server', '{ podSelector: { matchLabels: { app: server } } }'));

test('matrix: who reaches whom, collapsed, and of one pod both ways', async () => {
  const { stdout, status } = await ask('matrix');
  assert.equal(status, 0);
  assert.match(stdout, /^TO +GETS THROUGH +FROM$/m);
  assert.match(stdout, /^default\/pod-1 +TCP 8080 +default\/pod-2 and 2 like it$/m);
  assert.match(
    stdout,
    /^default\/pod-2 and 2 like it +everything +default\/pod-1, default\/pod-2 and 2 like it$/m,
  );
  const json = JSON.parse((await ask('matrix', '-o', 'json')).stdout) as CrowdLine[];
  assert.equal(
    json.reduce((sum, { pairs }) => sum + pairs, 0),
    12,
  );
  const one = await ask('matrix', 'pod-1');
  assert.match(
    one.stdout,
    /^TO default\/pod-1 FROM +GETS THROUGH\ndefault\/pod-2 and 2 like it +TCP 8080\nits own node +everything\naddresses of no pod, IPv4 +nothing$/m,
  );
  assert.match(one.stdout, /^FROM default\/pod-1 TO/m);
  const unknown = await ask('matrix', 'pod-11');
  assert.deepEqual(
    [unknown.status, unknown.stderr],
    [2, 'fairlead: policy matrix: there is no pod default/pod-11; did you mean default/pod-1?\n'],
  );
});

test('diff: what would change, and that nothing does', async () => {
  const changed = await ask('diff', '-f', closed);
  assert.deepEqual([changed.status, changed.stderr], [0, '']);
  assert.match(
    changed.stdout,
    /^TO +FAMILY +BEFORE +AFTER +FROM\ndefault\/pod-1 +IPv4 +TCP 8080 +nothing +default\/pod-2 and 2 like it\n$/,
  );
  assert.equal((await ask('diff', '-f', closed, '--exit-code')).status, 1);
  const gone = await ask('diff', '--without', 'default/server');
  assert.match(gone.stdout, /TCP 8080 +everything/);
  const same = file(
    'same.yaml',
    policyOf(
      'server',
      '{ podSelector: { matchLabels: { app: server } }, ingress: [{ from: [{ podSelector: { matchLabels: { app: client } } }], ports: [{ port: 8080, protocol: TCP }] }] }',
    ),
  );
  const none = await ask('diff', '-f', same, '--exit-code');
  assert.deepEqual([none.status, none.stdout], [0, 'Nothing changes: the same pods reach the same ports.\n']);
});

test('diff --flows: connections that are open would end; those denied lately would not', async () => {
  const flows = (...args: string[]) => ask('diff', ...args, '--flows', '--socket', paths.apiSocket);
  await until('the policy is in force', async () => {
    const { policy } = (await askAgent(paths.apiSocket, '/status')) as { policy: { policies: number } };
    return policy.policies === 1;
  });
  const talk = new Promise<string>((resolve) => {
    void reach(pod('pod-3').namespace, 'tcp', address('pod-1'), 8080).then(() => resolve('reached'));
  });
  assert.equal(await talk, 'reached');
  const open = await flows('-f', closed);
  assert.match(
    open.stdout,
    /TCP 8080 default\/pod-3 → default\/pod-1 +IPv4 +allowed +denied +pod default\/pod-1 is isolated for ingress by default\/server/,
  );
  const knock = openUdpClient(pod('pod-3').namespace, address('pod-1'), 8080);
  try {
    await until('a denial is known', async () => {
      assert.equal(await knock.ask(), undefined);
      return ((await askAgent(paths.apiSocket, '/drops')) as { denials: object[] }).denials.length > 0;
    });
  } finally {
    knock.close();
  }
  const without = await flows('--without', 'default/server');
  assert.match(
    without.stdout,
    /UDP 8080 .* +IPv4 +denied +allowed +no longer so: pod default\/pod-1 is isolated/,
  );
  const deaf = await ask('diff', '-f', closed, '--flows', '--socket', join(directory, 'nobody.sock'));
  assert.equal(deaf.status, 1);
  assert.match(deaf.stderr, /no agent answers at .*nobody\.sock/);
});

test('check: mistakes against the cluster, and offline what needs none', async () => {
  const wrong = file(
    'wrong.yaml',
    policyOf(
      'wrong',
      '{ podSelector: { matchLabels: { app: sever } }, policyTypes: [Egress], egress: [{ ports: [{ port: 443 }] }] }',
    ),
  );
  const online = await ask('check', '-f', wrong);
  assert.equal(online.status, 1);
  assert.match(
    online.stdout,
    /^default\/wrong: selects no pod: none has app=sever, did you mean app=server\?.* \[selects-nothing\]$/m,
  );
  assert.match(online.stdout, /\[no-dns\]$/m);
  const offline = await fairlead('policy', 'check', '-f', wrong, '--offline', '-o', 'json');
  assert.deepEqual(
    (JSON.parse(offline.stdout) as { mistake: string }[]).map(({ mistake }) => mistake),
    ['no-dns'],
  );
  const ignored = await ask('check', '-f', wrong, '--ignore', 'no-dns,selects-nothing');
  assert.deepEqual([ignored.status, ignored.stdout], [0, 'No mistakes found.\n']);
  assert.match((await ask('check', '-f', wrong, '--ignore', 'no-dsn')).stderr, /did you mean no-dns\?/);
});

test('hostile input is answered with one sentence, and never with a stack', async () => {
  const port = await freePort();
  const deadConfig = file(
    'dead',
    `apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{ name: a, context: { cluster: a, user: a } }]\nclusters: [{ name: a, cluster: { server: "http://127.0.0.1:${port}" } }]\nusers: [{ name: a, user: {} }]\n`,
  );
  const empty = join(directory, 'empty');
  mkdirSync(empty);
  const big = file(
    'big.yaml',
    policyOf(
      'big',
      `{ podSelector: {}, ingress: [{ from: [${Array.from({ length: 20_001 }, (_, index) => `{ ipBlock: { cidr: 10.${index >> 16}.${(index >> 8) & 255}.${index & 255}/32 } }`).join(', ')}] }] }`,
    ),
  );
  const cases: readonly [args: readonly string[], status: number, says: RegExp][] = [
    [['matrix', '--kubeconfig', deadConfig], 1, /127\.0\.0\.1:\d+.*ECONNREFUSED/],
    [['matrix', '--kubeconfig', join(directory, 'none')], 1, /none: .*ENOENT/],
    [['matrix', '--kubeconfig', file('odd', '[1, 2]')], 1, /odd/],
    [['matrix', '--kubeconfig', kubeconfig, '-o', 'yaml'], 2, /--output: "yaml" does not fit; use json/],
    [['matrix', '--kubeconfig', kubeconfig, '/'], 2, /there is no pod \//],
    [['diff', '--kubeconfig', kubeconfig], 2, /policy diff needs -f FILE, or --without POLICIES/],
    [
      ['diff', '--kubeconfig', kubeconfig, '--without', 'default/sever'],
      2,
      /there is no policy "default\/sever"/,
    ],
    [
      ['diff', '--kubeconfig', kubeconfig, '-f', closed, '--socket', '/x'],
      2,
      /--socket, --node and --namespace are of whom --flows asks/,
    ],
    [['check', '--offline'], 2, /-f is missing/],
    [
      ['check', '--offline', '-f', join(directory, 'absent.yaml')],
      2,
      /absent\.yaml: cannot be read: .*ENOENT/,
    ],
    [['check', '--offline', '-f', empty], 2, /empty: holds no file that ends in yaml, yml or json/],
    [['check', '--offline', '-f', file('void.yaml', '')], 2, /there is no NetworkPolicy/],
    [
      ['check', '--offline', '-f', file('binary.yaml', '\0\x01\x02{{{')],
      2,
      /binary\.yaml:1: is not an object of Kubernetes/,
    ],
    [
      ['check', '--offline', '-f', file('broken.yaml', 'spec: { a: [1, 2')],
      2,
      /broken\.yaml:1: .*correct the YAML/,
    ],
    [
      ['check', '--offline', '-f', file('text.yaml', 'just some words')],
      2,
      /text\.yaml:1: is not an object of Kubernetes/,
    ],
    [
      [
        'check',
        '--offline',
        '-f',
        file('other.yaml', 'apiVersion: v1\nkind: Secret\nmetadata: { name: x }\n'),
      ],
      2,
      /there is no NetworkPolicy/,
    ],
    [
      ['check', '--offline', '-f', file('nameless.yaml', policyOf('""', '{}'))],
      2,
      /nameless\.yaml:1: metadata\.name: "" is not a name/,
    ],
    [
      ['check', '--offline', '-f', file('shout.yaml', policyOf('Web', '{}'))],
      2,
      /metadata\.name: "Web" is not a name/,
    ],
    [
      [
        'check',
        '--offline',
        '-f',
        file('list.yaml', policyOf('list', '[]').replace('spec: []', 'spec: { podSelector: [] }')),
      ],
      1,
      /invalid/,
    ],
    [['check', '--offline', '-f', big], 1, /\[invalid\]|has 20001 items/],
    [
      [
        'check',
        '--offline',
        '-f',
        file(
          'bomb.yaml',
          `a: &a [x, x]\n${Array.from({ length: 30 }, (_, index) => `b${index}: &b${index} [${index === 0 ? '*a, *a' : `*b${index - 1}, *b${index - 1}`}]`).join('\n')}\n`,
        ),
      ],
      2,
      /bomb\.yaml:1: .*alias/i,
    ],
    [['chekc', '--offline'], 2, /there is no command 'policy chekc'; did you mean 'policy check'\?/],
    [['check', '--ofline'], 2, /policy check has no option --ofline; did you mean --offline\?/],
  ];
  for (const [args, status, says] of cases) {
    const result = await fairlead('policy', ...args);
    const text = result.stdout + result.stderr;
    assert.equal(result.status, status, `${args.join(' ')}: ${text}`);
    assert.match(text, says, args.join(' '));
    assert.doesNotMatch(text, /\n {4}at /, args.join(' '));
  }
  const many = file(
    'many.yaml',
    Array.from({ length: 8000 }, (_, index) =>
      policyOf(
        `p${index}`,
        `{ podSelector: { matchLabels: { app: a${index} } }, ingress: [{ ports: [{ port: 80 }] }] }`,
      ),
    ).join('---\n'),
  );
  assert.equal((await fairlead('policy', 'check', '--offline', '-f', many)).stdout, 'No mistakes found.\n');
});

test('a reader that has seen enough, and a shell that knows no cluster', async () => {
  const shell = (command: string) =>
    new Promise<string>((resolve) => {
      execFile('sh', ['-c', command], (_, stdout, stderr) => resolve(stdout + stderr));
    });
  const bad = file(
    'bad.yaml',
    Array.from({ length: 1000 }, (_, index) =>
      policyOf(`p${index}`, '{ ingress: [{ ports: [{ port: 0 }] }] }'),
    ).join('---\n'),
  );
  assert.equal(await shell(`${FAIRLEAD} policy check --offline -f ${bad} -o json | head -1`), '[\n');
  assert.match(
    await shell(`env -u KUBECONFIG -u KUBERNETES_SERVICE_HOST HOME=${directory} ${FAIRLEAD} policy matrix`),
    /^fairlead: there is no \$KUBECONFIG and no .*; name a kubeconfig with --kubeconfig\n$/,
  );
});

test('why of a service names the pods behind it', async () => {
  await client.json({
    method: 'POST',
    path: '/api/v1/namespaces/default/services',
    body: {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'front' },
      spec: { selector: { app: 'server' }, ports: [{ port: 80, targetPort: 8080 }] },
    },
  });
  const { stdout, status } = await fairlead('why', 'pod-3', 'svc/front', '--socket', paths.apiSocket);
  assert.equal(status, 0, stdout);
  assert.match(
    stdout,
    /service default\/front port 80 leads to default\/pod-1 .* port 8080: policies see these addresses/,
  );
  const node = await fairlead(
    'why',
    'node/node-1',
    'pod-1',
    '--proto',
    'udp',
    '--port',
    '53',
    '--socket',
    paths.apiSocket,
  );
  assert.match(node.stdout, /^Allowed: node node-1 .*\n.*a node always reaches its own pods/);
});

test('where kubectl works agents are asked through the API, with the rights of whoever asks', async () => {
  const remote = (...args: string[]) => fairlead(...args, '--kubeconfig', kubeconfig);
  const both = await remote('why', 'pod-3', 'pod-1', '--port', '8080', '-o', 'json');
  assert.equal(both.status, 0, both.stderr);
  const result = JSON.parse(both.stdout) as WhyResult;
  assert.deepEqual(
    result.answers.map(({ family, verdict, policies }) => [family, verdict, policies]),
    [[4, 'allowed', ['default/server']]],
  );
  // Each side where it is enforced.
  assert.deepEqual(result.asOf.map(({ node }) => node).toSorted(), ['node-1', 'node-2']);
  const denied = await remote('why', '203.0.113.10', 'pod-1', '--port', '8080', '--node', 'node-1');
  assert.deepEqual([denied.status, denied.stderr], [1, '']);
  assert.match(
    denied.stdout,
    /^Denied: .*\n.*\n {2}ingress DENIED .*default\/server.*\n {2}as of .*node-1 since/,
  );
  await until('a denial is known', async () => {
    await reach(pod('pod-3').namespace, 'tcp', address('pod-1'), 8081);
    return (await remote('drops', '--pod', 'pod-1')).stdout.includes('8081');
  });
  assert.match((await remote('drops', '--node', 'node-2')).stdout, /^No packet was denied lately\.$/m);
  const flows = await remote('policy', 'diff', '--without', 'default/server', '--flows');
  assert.match(flows.stdout, /TCP 8081 default\/pod-3 → default\/pod-1 +IPv4 +denied +allowed/);
  const doctor = await remote('doctor', '--node', 'node-2');
  assert.equal(doctor.status, 0, doctor.stdout + doctor.stderr);
  assert.match(doctor.stdout, /path to node-1 [^]*Nothing is broken/);
  assert.match(
    (await remote('drops', '--node', 'node-3')).stderr,
    /no pod of an agent runs on node "node-3"/,
  );
  const own = file('agent-account', labKubeconfig(plan, false, 'agentToken'));
  for (const args of [
    ['status', '--cluster'],
    ['why', 'pod-3', 'pod-1', '--port', '80', '--node', 'node-1'],
  ]) {
    const refused = await fairlead(...args, '--kubeconfig', own);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /403 .*; use an account that may do that: .*--kubeconfig$/m);
  }
});

test('policy.events: the pod is told, and with the key off it is not', async () => {
  const events = async () => {
    const { items } = (await client.json({ path: '/api/v1/namespaces/default/events' })) as {
      items: { reason: string; message: string; involvedObject: { name: string } }[];
    };
    return items.filter(({ reason }) => reason === 'PolicyDenied');
  };
  assert.deepEqual(await events(), []);
  appendFileSync(paths.configuration, 'policy:\n  events: true\n');
  await until('the pod was told', async () => {
    await reach(pod('pod-3').namespace, 'tcp', address('pod-1'), 8081);
    return (await events()).length > 0;
  });
  const [event] = await events();
  assert.equal(event!.involvedObject.name, 'pod-1');
  assert.match(event!.message, /^denied TCP 8081 default\/pod-3 .* isolated for ingress by default\/server/);
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
