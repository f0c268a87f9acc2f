/** An agent whose way to the API is wrong: it says what, serves pods by its last good view, and touches no other. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { selfSignedCertificate } from '../../lab/api/access/certificate.ts';
import { readAccess } from '../../lab/api-access.ts';
import { namespacePath } from '../../lab/namespaces.ts';
import { killAgent, startAgent } from '../../lab/nodes.ts';
import { addPod } from '../../lab/pods.ts';
import { agentProcesses, FAIRLEAD } from '../../lab/processes.ts';
import { apiPaths, nodePaths } from '../../lab/state.ts';
import type { LabNode } from '../../lab/topology.ts';
import { parseIp } from '../../src/base/ip/ip.ts';
import { until } from '../until.ts';
import { faultsOf, startLab } from './fixture.ts';
import { configure, problemsOf, statusOf } from './node.ts';

const plan = await startLab({ nodes: 2, pods: 1, api: true });
const [node, other] = plan.nodes as [LabNode, LabNode];
const { directory, configuration } = nodePaths(plan.options.name, node.name);
const own = join(directory, 'own.kubeconfig');
const tokenFile = join(directory, 'token');
const { agentToken: token } = readAccess(plan.options.name)!;
const good = readFileSync(apiPaths(plan.options.name).kubeconfig, 'utf8');
let count = 0;

/** A kubeconfig of the node's own, as it shall be from now on. */
async function restartWith(kubeconfig: string): Promise<void> {
  writeFileSync(own, kubeconfig, { mode: 0o600 });
  killAgent(node);
  await until('the agent is gone', () => agentProcesses(node.namespace).length === 0);
  startAgent(plan, node);
  await until('it serves', () =>
    statusOf(plan, node).then(
      ({ readiness }) => readiness.ready,
      () => false,
    ),
  );
}

/** What the agent says, while pods start, and the other node has no problem. */
async function goesOn(reason: RegExp): Promise<void> {
  await until(`it says ${reason}`, async () => reason.test(await problemsOf(plan, node)));
  assert.doesNotMatch(await problemsOf(plan, node), new RegExp(token));
  await addPod(plan, `pod-${++count}-of-bad`, node.name);
  assert.equal(await problemsOf(plan, other), '');
  assert.deepEqual(await faultsOf(plan), []);
}

/** How an agent with such a file ends, at once. */
function refusalOf(): Promise<{ status: number; stderr: string }> {
  const command = [`--net=${namespacePath(node.namespace)}`, FAIRLEAD, 'agent', '--config', configuration];
  return new Promise((resolve) => {
    execFile('nsenter', command, { timeout: 30_000 }, (error, _, stderr) =>
      resolve({ status: error === null ? 0 : Number(error.code ?? 1), stderr }),
    );
  });
}

configure(plan, node, (text) => text.replace(/kubeconfig: [^ }]+/, `kubeconfig: ${own}`));

test('a wrong token, and one in a file that expires and is renewed', async () => {
  await restartWith(good.replace(token, 'f'.repeat(token.length)));
  await goesOn(
    /nodes: 401 .*the credentials of .*own\.kubeconfig are wrong or expired: renew them, and compare the clocks/,
  );

  writeFileSync(tokenFile, 'expired');
  await restartWith(good.replace(/token: .*/, `tokenFile: token`));
  await goesOn(/401 .*wrong or expired/);
  writeFileSync(`${tokenFile}.new`, `${token}\n`);
  renameSync(`${tokenFile}.new`, tokenFile);
  await until(
    'the renewed token is taken without a restart',
    async () => (await problemsOf(plan, node)) === '',
  );
});

test('another authority', async () => {
  const { certificate: stranger } = selfSignedCertificate(
    'stranger',
    { names: [], ips: [parseIp('192.168.1.1')] },
    Date.now(),
  );
  const trusting = (certificate: string) =>
    good.replace(
      /certificate-authority-data: .*/,
      `certificate-authority-data: ${Buffer.from(certificate).toString('base64')}`,
    );
  await restartWith(trusting(stranger));
  await goesOn(
    /(self-signed|unable to verify|SELF_SIGNED).*another authority signed the certificate of the server; correct certificate-authority/,
  );
  await restartWith(good);
  await until('all is well again', async () => (await problemsOf(plan, node)) === '');
});

test('a kubeconfig that is none, and a configuration with unknown keys: the agent does not start, and one sentence says why', async () => {
  killAgent(node);
  await until('the agent is gone', () => agentProcesses(node.namespace).length === 0);
  for (const [text, expected] of [
    ['nonsense', /own\.kubeconfig: is not a map of keys; write a kubeconfig as kubectl does/],
    [
      good.replace(/^current-context: .*$/m, 'current-context: prod'),
      /contexts: has no context named "prod"; there are /,
    ],
    [
      good.replace(/server: .*/, 'server: 192.168.1.1'),
      /server: "192\.168\.1\.1" is not an address; write it like https/,
    ],
  ] as const) {
    writeFileSync(own, text);
    const { status, stderr } = await refusalOf();
    assert.equal(status, 1);
    assert.match(stderr, expected);
    assert.ok(stderr.trim().split('\n').length <= 2, stderr);
  }
  writeFileSync(own, good);
  const before = readFileSync(configuration, 'utf8');
  configure(plan, node, (text) => `${text}backnd: vxlan\nmasquerade: { enabld: false }\n`);
  const { status, stderr } = await refusalOf();
  assert.equal(status, 1);
  assert.match(stderr, /backnd: is not a key of Fairlead; did you mean backend\?/);
  assert.match(stderr, /masquerade\.enabld: is not a key of Fairlead; did you mean masquerade\.enabled\?/);
  writeFileSync(configuration, before);
  await restartWith(good);
  await until('all is well again', async () => (await problemsOf(plan, node)) === '');
  assert.deepEqual(await faultsOf(plan), []);
});
