/** Limits of pods through the real agent: what the kernel holds of them, and when. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { namespacePath, run } from '../../lab/namespaces.ts';
import { awaitAgent, killAgent, startAgent } from '../../lab/nodes.ts';
import { networkConfiguration } from '../../lab/pods.ts';
import { type CniCall, callPlugin } from '../../lab/runtime.ts';
import { nodePaths } from '../../lab/state.ts';
import { hostLinkName } from '../../src/plan/pod/attachment.ts';
import { shaperName } from '../../src/plan/pod/bandwidth.ts';
import { startLab } from '../lab/fixture.ts';
import { createNamespace, type TestNamespace } from '../namespace.ts';
import { until } from '../until.ts';
import { SHAPING as shaping } from './shaping.ts';

const LIMITS = {
  ingressRate: 10_000_000,
  ingressBurst: 800_000,
  egressRate: 20_000_000,
  egressBurst: 1_600_000,
};

const plan = await startLab({ nodes: 1, pods: 0 });
const node = plan.nodes[0]!;
const spaces: TestNamespace[] = [];
after(() => spaces.forEach((space) => space[Symbol.dispose]()));
let count = 0;

function container(bandwidth: object | undefined) {
  const space = createNamespace();
  spaces.push(space);
  const containerId = `limited-${++count}`;
  const configuration = networkConfiguration(plan, node.name, {
    runtimeConfig: bandwidth === undefined ? {} : { bandwidth },
  });
  const call = (command: CniCall['command'], more: object = {}, netns = space.path) =>
    callPlugin({
      command,
      configuration: { ...configuration, ...more },
      containerId,
      netns,
      ifname: 'eth0',
    });
  const key = { network: String(configuration['name']), containerId, ifname: 'eth0' };
  return { space, call, veth: hostLinkName(key), shaper: shaperName(key) };
}

function inNode(text: string): Promise<string> {
  return run('nsenter', [`--net=${namespacePath(node.namespace)}`, '--', ...text.split(' ')]);
}

async function add({ call }: ReturnType<typeof container>): Promise<object> {
  const { exitCode, stdout } = await call('ADD');
  assert.equal(exitCode, 0, stdout);
  return JSON.parse(stdout) as object;
}

/** All that limits the pod, as tc and ip show it; handles, which the kernel counts up, apart. */
async function limitsOf({ veth, shaper }: ReturnType<typeof container>): Promise<string> {
  const show = (text: string) => inNode(text).catch(() => `no ${text}\n`);
  const shown = [
    await show(`tc qdisc show dev ${veth}`),
    await show(`tc filter show dev ${veth} ingress`),
    await show(`tc qdisc show dev ${shaper}`),
    await show(`ip -br link show ${shaper}`),
  ];
  return shown
    .join('')
    .replaceAll(/qdisc (\S+) \S+:/g, 'qdisc $1')
    .replaceAll(/\s(?:refcnt|index|ref|bind) \d+/g, '')
    .replaceAll(/[0-9a-f]{2}(:[0-9a-f]{2}){5}/g, 'MAC');
}

function agentLog(): string {
  return readFileSync(nodePaths(plan.options.name, node.name).log, 'utf8');
}

function shapersOf(): Promise<string> {
  return inNode('ip -br link show type ifb');
}

test('a limited pod has its limits from ADD to DEL, and its neighbor has none', shaping, async () => {
  const [limited, free] = [container(LIMITS), container(undefined)];
  const prevResult = await add(limited);
  await add(free);
  const shown = await limitsOf(limited);
  assert.match(shown, /qdisc tbf root rate 10Mbit burst (99|100)\d{3}b /);
  assert.match(shown, new RegExp(`Egress Redirect to device ${limited.shaper}\\) stolen`));
  assert.match(shown, /qdisc tbf root rate 20Mbit burst (199|200)\d{3}b /);
  assert.match(shown, new RegExp(`^${limited.shaper} .*UP`, 'm'));
  const others = await limitsOf(free);
  assert.match(others, new RegExp(`qdisc noqueue root \nno tc qdisc show dev ${free.shaper}`));
  assert.doesNotMatch(others, /tbf|clsact|u32/);
  assert.deepEqual(await limited.call('CHECK', { prevResult }), { exitCode: 0, stdout: '' });
  await limited.call('DEL');
  await until('the shaper is gone', async () => (await shapersOf()) === '');
  await until('the interface is gone', () => !limited.space.exec('ip', '-br', 'link').includes('eth0'));
  assert.doesNotMatch(agentLog(), /belongs to no pod/, 'DEL itself has taken both');
  await free.call('DEL');
});

test('one direction may be limited alone', shaping, async () => {
  const { ingressRate, ingressBurst, egressRate, egressBurst } = LIMITS;
  const [receiver, sender] = [
    container({ ingressRate, ingressBurst }),
    container({ egressRate, egressBurst }),
  ];
  await add(receiver);
  await add(sender);
  assert.doesNotMatch(await limitsOf(receiver), /clsact|u32|20Mbit/);
  assert.doesNotMatch(await limitsOf(sender), /10Mbit/);
  assert.match(await shapersOf(), new RegExp(`^${sender.shaper} .*\\n$`));
  await receiver.call('DEL');
  await sender.call('DEL');
  await until('the shaper is gone', async () => (await shapersOf()) === '');
});

test('limits that somebody destroys come back; CHECK says what is missing', shaping, async () => {
  const pod = container(LIMITS);
  const prevResult = await add(pod);
  const { veth, shaper } = pod;
  const before = await limitsOf(pod);
  const damages = [
    `tc qdisc del dev ${veth} root`,
    `tc qdisc replace dev ${veth} root tbf rate 1gbit burst 100000b limit 140000b`,
    `tc qdisc replace dev ${veth} root tbf rate 10mbit burst 200000b limit 140000b`,
    `tc qdisc del dev ${veth} clsact`,
    `tc filter del dev ${veth} ingress`,
    `tc qdisc del dev ${shaper} root`,
    `ip link set ${shaper} down`,
    `ip link del ${shaper}`,
  ];
  for (const damage of damages) {
    const { length } = agentLog();
    await inNode(damage);
    await until(`${damage} is mended`, async () => (await limitsOf(pod)) === before);
    const mended = () => /brought to what it should hold.*reasons=.*/.exec(agentLog().slice(length))?.[0];
    await until('the log says why', () => mended() !== undefined);
    assert.match(mended()!, /queue|link/, `${damage} is noticed, and does not wait for the next look`);
  }
  assert.deepEqual(await pod.call('CHECK', { prevResult }), { exitCode: 0, stdout: '' });
  // The agent may be faster than the question.
  await until('CHECK finds both missing', async () => {
    await Promise.allSettled([inNode(`tc qdisc del dev ${veth} root`), inNode(`ip link del ${shaper}`)]);
    const { stdout } = await pod.call('CHECK', { prevResult });
    return /"code":103,.*10000000 bit\/s for what it receives is not.*20000000 bit\/s for what it sends/.test(
      stdout,
    );
  });
  await pod.call('DEL');
  await until('the shaper is gone', async () => (await shapersOf()) === '');
});

test('limits survive the agent, and are put right at its start', shaping, async () => {
  const pod = container(LIMITS);
  await add(pod);
  const before = await limitsOf(pod);
  killAgent(node);
  assert.equal(await limitsOf(pod), before, 'they hold without an agent');
  await inNode(`tc qdisc del dev ${pod.veth} root`);
  await inNode(`ip link del ${pod.shaper}`);
  startAgent(plan, node);
  await awaitAgent(plan, node);
  assert.equal(await limitsOf(pod), before);
  await pod.call('DEL');
  await until('the shaper is gone', async () => (await shapersOf()) === '');
});

test(
  'a pod that dies without a DEL takes its shaper along, and may come again at once',
  shaping,
  async () => {
    const pod = container(LIMITS);
    await add(pod);
    const before = await limitsOf(pod);
    const again = createNamespace();
    spaces.push(again);
    pod.space[Symbol.dispose]();
    // As soon as its death was noticed; what is left of it may still be on its way out.
    await until('it is attached again', async () => (await pod.call('ADD', {}, again.path)).exitCode === 0);
    assert.equal(await limitsOf(pod), before);
    killAgent(node);
    again[Symbol.dispose]();
    await until('its interface is gone', async () => !(await inNode('ip -br link')).includes(pod.veth));
    assert.notEqual(await shapersOf(), '');
    const { length } = agentLog();
    startAgent(plan, node);
    await awaitAgent(plan, node);
    await until('the shaper is gone', async () => (await shapersOf()) === '');
    assert.match(agentLog().slice(length), /belongs to no pod/, 'with others, off the event loop');
  },
);

test('GC takes shapers along', shaping, async () => {
  const pod = container(LIMITS);
  await add(pod);
  const configuration = networkConfiguration(plan, node.name, { 'cni.dev/valid-attachments': [] });
  assert.deepEqual(await callPlugin({ command: 'GC', configuration }), { exitCode: 0, stdout: '' });
  await until('the shaper is gone', async () => (await shapersOf()) === '');
});

test('an ADD that the kernel refuses leaves nothing', shaping, async () => {
  const [early, late] = [container(LIMITS), container(LIMITS)];
  await inNode(`ip link add ${early.shaper} type bridge`);
  await inNode(`ip link property add dev ${early.shaper} altname ${late.veth}.egress.20000000.1600000`);
  for (const { call, veth, space } of [early, late]) {
    const { exitCode, stdout } = await call('ADD');
    assert.equal(exitCode, 1);
    assert.match(stdout, /"code":104,.*EEXIST/);
    assert.doesNotMatch(await inNode('ip -br link'), new RegExp(veth));
    assert.doesNotMatch(space.exec('ip', '-br', 'link'), /eth0/);
  }
  assert.equal(await shapersOf(), '');
  assert.match(await inNode(`ip -br link show ${early.shaper}`), /DOWN/, 'what is not ours stays');
  await inNode(`ip link del ${early.shaper}`);
});

test('a burst below one packet is raised, and that is logged', shaping, async () => {
  const pod = container({ ingressRate: 1_000_000, ingressBurst: 8000 });
  await add(pod);
  assert.match(await limitsOf(pod), /rate 1Mbit burst 151\db /);
  assert.match(agentLog(), /ingressBurst: 8000 bits are less than one packet of 1500 bytes; 12112 it is/);
  await pod.call('DEL');
});
