/** In a list with the reference plugins, before and after them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { namespacePath } from '../../lab/namespaces.ts';
import { PLUGIN } from '../../lab/processes.ts';
import { type Container, type Result, startNode } from './containers.ts';

const REFERENCE = ['/usr/lib/cni', '/opt/cni/bin'].find((folder) => existsSync(join(folder, 'tuning')));
const skip =
  REFERENCE === undefined ? 'the reference plugins are not installed (containernetworking-plugins)' : false;

const { node, container, configured } = await startNode();

type Plugin = { type: string };

/** A list as libcni runs it: each with the result of the one before, in reverse for DEL. */
async function runList(
  command: 'ADD' | 'CHECK' | 'DEL',
  plugins: readonly Plugin[],
  { space, containerId }: Container,
  result?: Result,
): Promise<Result | undefined> {
  let prevResult = result;
  for (const plugin of command === 'DEL' ? plugins.toReversed() : plugins) {
    const program = plugin.type === 'fairlead-cni' ? PLUGIN : join(REFERENCE!, plugin.type);
    const base = plugin.type === 'fairlead-cni' ? configured({}).configuration : {};
    const configuration = {
      ...base,
      ...plugin,
      cniVersion: '1.0.0',
      name: 'fairlead',
      ...(prevResult === undefined ? {} : { prevResult }),
    };
    const stdout = await runPlugin(program, command, containerId, space.path, configuration);
    if (command === 'ADD') prevResult = JSON.parse(stdout) as Result;
  }
  return prevResult;
}

function runPlugin(
  program: string,
  command: string,
  containerId: string,
  netns: string,
  configuration: object,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const env = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: containerId,
      CNI_NETNS: netns,
      CNI_IFNAME: 'eth0',
      CNI_PATH: REFERENCE!,
      PATH: process.env['PATH'],
    };
    // Plugins look for the host's interfaces in their own namespace.
    const child = spawn('nsenter', [`--net=${namespacePath(node.namespace)}`, '--', program], {
      env,
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stdin.end(JSON.stringify(configuration));
    child.on('error', reject);
    child.on('close', (status) =>
      status === 0 ? resolve(stdout) : reject(new Error(`${program} ${command}: ${stdout}`)),
    );
  });
}

const OURS = { type: 'fairlead-cni' };

const LISTS: Record<string, readonly object[]> = {
  'tuning behind': [OURS, { type: 'tuning', mtu: 1400, sysctl: { 'net.ipv4.conf.eth0.log_martians': '1' } }],
  'bandwidth behind': [
    OURS,
    {
      type: 'bandwidth',
      ingressRate: 8_000_000,
      ingressBurst: 800_000,
      egressRate: 8_000_000,
      egressBurst: 800_000,
    },
  ],
  'both behind': [
    OURS,
    { type: 'tuning', mtu: 1400 },
    { type: 'bandwidth', ingressRate: 8_000_000, ingressBurst: 800_000 },
  ],
};

for (const [what, list] of Object.entries(LISTS)) {
  test(`C5: ${what}: ADD, CHECK, DEL`, { skip }, async () => {
    const pod = container();
    const plugins = list as readonly Plugin[];
    const result = await runList('ADD', plugins, pod);
    const own = result!.interfaces.find(({ name, sandbox }) => name === 'eth0' && sandbox === pod.space.path);
    assert.ok(own, 'the interface is in the result of the last plugin');
    const shown = pod.space.exec('ip', 'link', 'show', 'eth0');
    if (what !== 'bandwidth behind') assert.match(shown, /mtu 1400/);
    await runList('CHECK', plugins, pod, result);
    await runList('DEL', plugins, pod, result);
    await runList('DEL', plugins, pod);
  });
}

test('C5: before us: what another plugin made stays in the result, under its numbers', { skip }, async () => {
  const pod = container();
  const first = { type: 'loopback' };
  const result = await runList('ADD', [first, OURS], pod);
  assert.deepEqual(
    result!.interfaces.map(({ name }) => name.replace(/^fl[0-9a-f]+$/, 'host')),
    ['lo', 'host', 'eth0'],
  );
  const own = result!.ips.find(({ address }) => address.startsWith('10.244.'));
  assert.equal(own?.interface, 2);
  await runList('DEL', [first, OURS], pod, result);
});
