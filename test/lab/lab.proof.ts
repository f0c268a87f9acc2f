import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { labDown } from '../../lab/lab.ts';
import { listNamespaces, run } from '../../lab/namespaces.ts';
import { FAIRLEAD } from '../../lab/processes.ts';
import { labDirectory, listLabs, readPods } from '../../lab/state.ts';
import { namespacePrefix } from '../../lab/topology.ts';
import { verifyLab } from '../../lab/verify/verify.ts';
import { fairlead, faultsOf, startLab, testLabName } from './fixture.ts';

test('the default lab is the textbook, and all of it is proven', async () => {
  const plan = await startLab();
  assert.deepEqual(
    plan.nodes.map(({ address, podCidr }) => [address, podCidr]),
    [
      ['192.168.1.2', '10.244.0.0/24'],
      ['192.168.1.3', '10.244.1.0/24'],
    ],
  );
  assert.deepEqual(readPods(plan.options.name)[0]?.ips, ['10.244.0.2']);
  assert.deepEqual(await faultsOf(plan, 100_000_000), []);
});

test('one node, proven', async () => {
  assert.deepEqual(await faultsOf(await startLab({ nodes: 1 })), []);
});

test('four nodes behind a router that knows no pods, every backend that can, with a larger MTU', async () => {
  assert.deepEqual(await faultsOf(await startLab({ nodes: 4, subnets: 2, backend: 'auto' })), []);
  assert.deepEqual(
    await faultsOf(await startLab({ nodes: 3, subnets: 3, backend: 'vxlan', mtu: 9000, pods: 1 })),
    [],
  );
});

for (const [backend, subnets] of [
  ['auto', 2],
  ['vxlan', 2],
  ['host-gw', 1],
] as const) {
  for (const family of ['ipv6', 'dual'] as const) {
    test(`${family}: all proofs, ${backend} over ${subnets === 1 ? 'one network' : 'two networks'}`, async () => {
      assert.deepEqual(await faultsOf(await startLab({ nodes: 3, subnets, pods: 1, backend, family })), []);
    });
  }
}

test('agents divide both pod networks of a dual-stack cluster', async () => {
  const plan = await startLab({ nodes: 3, ranges: 'agents', pods: 1, family: 'dual' });
  assert.deepEqual(await faultsOf(plan), []);
});

test('agents that are given no ranges divide the pod network among themselves', async () => {
  assert.deepEqual(await faultsOf(await startLab({ nodes: 5, ranges: 'agents', pods: 1 })), []);
});

test('without a pod network, verify fails and says why', async () => {
  const plan = await startLab({ cni: 'none' });
  const report = await verifyLab(plan, [4], () => undefined);
  assert.equal(report.ok, false);
  const reasons = report.proofs.flatMap(({ failures }) => failures.map(({ reason }) => reason)).join('\n');
  assert.match(reasons, /node-1 and node-2 both hand out 10\.244\.0\.0\/24/);
  assert.match(reasons, /pod-1 answered, not pod-3: both have 10\.244\.0\.2/);
});

test('host-gw across a router names the nodes that it cannot reach, and serves the others', async () => {
  const plan = await startLab({ nodes: 3, subnets: 2, backend: 'host-gw', pods: 1 });
  const { status, stdout } = await fairlead('lab', 'status', '--name', plan.options.name);
  assert.equal(status, 1);
  assert.match(stdout, /node-2 \(192\.168\.2\.2\) is behind a router .* use backend auto or vxlan/);
  const faults = await faultsOf(plan);
  assert.ok(faults.some((fault) => /pod-1 → pod-2/.test(fault)));
  assert.ok(!faults.some((fault) => /pod-1 → pod-3|pod-3 → pod-1/.test(fault)));
});

test('two labs side by side do not touch each other', async () => {
  const [first, second] = [await startLab(), await startLab({ backend: 'vxlan' })];
  assert.deepEqual(await faultsOf(first), []);
  await labDown(first.options.name);
  assert.deepEqual(await faultsOf(second), []);
});

test('down removes everything and nothing else, also after an up that was killed at any moment', async () => {
  const before = await footprint();
  for (const ms of [80, 250, 500, 900]) {
    const name = testLabName();
    const child = spawn(FAIRLEAD, ['lab', 'up', '--name', name, '--nodes', '3'], { stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    await sleep(ms);
    child.kill('SIGKILL');
    await ended;
    await labDown(name);
    assert.deepEqual(listNamespaces(namespacePrefix(name)), [], `${ms} ms`);
    assert.ok(!listLabs().includes(name));
  }
  assert.deepEqual(await footprint(), before);
});

test('up of a lab that is up is fine; with other options it is refused, and nothing changes', async () => {
  const { options } = await startLab({ pods: 1 });
  const same = await fairlead('lab', 'up', '--name', options.name, '--pods', '1');
  assert.equal(same.status, 0);
  assert.match(same.stderr, /is up already/);
  const other = await fairlead('lab', 'up', '--name', options.name, '--nodes', '3');
  assert.equal(other.status, 1);
  assert.match(other.stderr, /is up with other options .*lab down/);
});

test('pods come and go by command; commands run inside; maps are drawn', async () => {
  const { options } = await startLab();
  const name = ['--name', options.name];
  assert.match(
    (await fairlead('lab', 'pod', 'add', 'web', '--node', 'node-2', ...name)).stdout,
    /^web on node-2: 10\.244\.1\.4\n$/,
  );
  const twice = await fairlead('lab', 'pod', 'add', 'web', ...name);
  assert.equal(twice.status, 1);
  assert.match(twice.stderr, /pod web exists already/);
  assert.match(
    (await fairlead('lab', 'exec', 'web', ...name, '--', 'ip', '-br', 'addr', 'show', 'eth0')).stdout,
    /10\.244\.1\.4\/32/,
  );
  assert.equal(
    (await fairlead('lab', 'node', 'exec', 'node-1', ...name, '--', 'sh', '-c', 'exit 7')).status,
    7,
  );
  assert.match(
    (await fairlead('lab', 'map', ...name)).stdout,
    /node-2 {2}192\.168\.1\.3 {2}owns 10\.244\.1\.0\/24[\s\S]*• web {2}10\.244\.1\.4/,
  );
  const svg = join(labDirectory(options.name), 'map.svg');
  assert.equal((await fairlead('lab', 'map', ...name, '--svg', svg)).status, 0);
  assert.match(readFileSync(svg, 'utf8'), /^<svg [\s\S]*10\.244\.1\.4[\s\S]*<\/svg>\n$/);
  assert.equal((await fairlead('lab', 'pod', 'rm', 'web', ...name)).status, 0);
  const report = JSON.parse((await fairlead('lab', 'verify', ...name, '--json')).stdout) as {
    ok: boolean;
    proofs: unknown[];
  };
  assert.equal(report.ok, true);
  assert.equal(report.proofs.length, 8);
});

test('wrong usage is one sentence with the cure, status 2, and makes nothing', async () => {
  const before = await footprint();
  const cases: [string[], RegExp][] = [
    [['lab', 'up', '--nodes', '0'], /--nodes: 0 does not fit; use 1 to 128/],
    [['lab', 'up', '--nodes', 'many'], /--nodes: not a number does not fit/],
    [['lab', 'up', '--nods', '3'], /no option --nods; did you mean --nodes\?/],
    [['lab', 'up', '--subnets', '3'], /3 networks for 2 nodes/],
    [
      ['lab', 'up', '--backend', 'vxlna'],
      /--backend: "vxlna" does not fit; use auto, vxlan, host-gw; did you mean vxlan\?/,
    ],
    [['lab', 'up', '--mtu', '100'], /--mtu: 100 does not fit/],
    [['lab', 'up', '--name', 'Bad/Name'], /--name: "Bad\/Name" does not fit/],
    [['lab', 'up', 'extra'], /usage: fairlead lab up/],
    [['lab', 'nod', 'exec'], /did you mean 'lab node exec'\?/],
    [['lab', 'capture', 'node-1', '--count', 'x'], /is not up|--count/],
    [['agent'], /--config FILE/],
    [['nonsense'], /'fairlead help' lists them all/],
  ];
  for (const [args, expected] of cases) {
    const { status, stderr } = await fairlead(...args);
    assert.notEqual(status, 0, args.join(' '));
    assert.match(stderr, expected);
    assert.ok(stderr.trim().split('\n').length <= 2, stderr);
  }
  assert.deepEqual(await footprint(), before);
});

/** What of the machine itself a lab could have touched. */
async function footprint(): Promise<object> {
  return {
    links: (await run('ip', ['-o', 'link'])).replaceAll(/qlen \d+/g, ''),
    routes: await run('ip', ['route', 'show', 'table', 'all']),
    rules: await run('ip', ['rule']),
    nft: await run('nft', ['list', 'ruleset']),
    forward: readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8'),
    labs: readdirSync('/run/netns').filter((name) => name.startsWith(`fl-t${process.pid}`)),
  };
}
