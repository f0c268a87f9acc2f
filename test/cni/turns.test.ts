/** Whose attachment it is: calls on one that come together, calls before the links were read, the longest names. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CniContext, handleCni } from '../../src/agent/attach/cni-handler.ts';
import {
  type AttachmentTable,
  createAttachmentTable,
  noteUnread,
  readLinks,
} from '../../src/agent/node/attachments.ts';
import { LinkRemoval } from '../../src/agent/node/link-removal.ts';
import { writeSysctls } from '../../src/agent/settings/sysctl.ts';
import { parseCidr } from '../../src/base/ip/cidr.ts';
import { parseIp } from '../../src/base/ip/ip.ts';
import { createLogger } from '../../src/base/log/logger.ts';
import type { CniReply } from '../../src/edge/cni/result/reply.ts';
import { NetworkNamespace } from '../../src/edge/netlink/namespace.ts';
import { openKernel } from '../../src/edge/netlink/rtnetlink.ts';
import { openSysctls } from '../../src/edge/sysctl/sysctls.ts';
import { createNamespace, type TestNamespace } from '../namespace.ts';

type Gate = { reached: Promise<void>; open: () => void; pass: () => Promise<void> };

/** What waits at it goes on when it is opened. */
function createGate(): Gate {
  const [reached, opened] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  return {
    reached: reached.promise,
    open: opened.resolve,
    pass: () => {
      reached.resolve();
      return opened.promise;
    },
  };
}

/** A node on the kernel, with gates where an ADD waits for others. */
function startNode({ admit, ports }: { admit?: Gate; ports?: Gate } = {}) {
  const host = createNamespace();
  host.exec('ip', 'link', 'set', 'lo', 'up');
  const namespace = NetworkNamespace.open(host.path);
  const kernel = openKernel(namespace);
  const table = createAttachmentTable();
  const log = createLogger({ level: 'error', format: 'text' }, () => undefined);
  const openPorts = new Set<string>();
  let index = 2000;
  const removal = new LinkRemoval(
    kernel,
    () => undefined,
    (error) => assert.fail(error),
  );
  const context: CniContext = {
    log,
    kernel,
    namespace,
    pods: { openNamespace: (path) => NetworkNamespace.open(path), openKernel: (pod) => openKernel(pod) },
    table,
    removal,
    readiness: () => ({
      ready: true,
      view: {
        ranges: [parseCidr('10.244.0.0/24'), parseCidr('fd00:1111:2222:3333:4444:5555:6666:0/112')],
        nodeIps: [parseIp('192.168.1.2')],
        mtu: 1500,
      },
    }),
    nextIndex: () => ++index,
    writeSysctls: (settings, of) => void writeSysctls(settings, openSysctls('/proc/sys'), of ?? namespace),
    admit: async () => admit?.pass(),
    completeKept: async () => undefined,
    hostPorts: {
      open: async ({ containerId }) => {
        await ports?.pass();
        openPorts.add(containerId);
      },
      close: async ({ containerId }) => void openPorts.delete(containerId),
      areOpen: () => true,
    },
  };
  kernel.apply([
    {
      op: 'address.replace',
      address: { linkIndex: 1, ip: parseIp('192.168.1.2'), prefixLength: 32, scope: 0 },
    },
  ]);
  const call = (
    command: string,
    pod: TestNamespace,
    more: Record<string, string> = {},
  ): Promise<CniReply> => {
    const configuration = {
      cniVersion: '1.1.0',
      name: 'net',
      type: 'fairlead-cni',
      runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] },
    };
    const environment = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: 'c1',
      CNI_NETNS: pod.path,
      CNI_IFNAME: 'eth0',
      CNI_PATH: '/x',
      ...more,
    };
    return handleCni({ environment, stdin: JSON.stringify(configuration) }, context);
  };
  return {
    context,
    call,
    openPorts,
    read: () => readLinks(table, kernel.links()),
    pods: () => kernel.links().filter(({ name }) => name.startsWith('fl')),
    [Symbol.asyncDispose]: async () => {
      await removal.settled();
      kernel.close();
      namespace[Symbol.dispose]();
      host[Symbol.dispose]();
    },
  };
}

function attached({ now }: AttachmentTable): number | 'unknown' {
  return now.known ? now.live.size : 'unknown';
}

function codeOf({ exitCode, stdout }: CniReply): number {
  return exitCode === 0 ? 0 : (JSON.parse(stdout) as { code: number }).code;
}

for (const stage of ['admit', 'ports'] as const) {
  test(`a DEL during an ADD that waits for its ${stage} leaves nothing, and the ADD does not say yes`, async () => {
    using pod = createNamespace();
    const gate = createGate();
    await using node = startNode({ [stage]: gate });
    node.read();
    const add = node.call('ADD', pod);
    await gate.reached;
    const del = node.call('DEL', pod);
    // A policy may be late for ever: a DEL does not wait for it. Ports that are being opened are waited for.
    if (stage === 'ports') gate.open();
    assert.equal(codeOf(await del), 0);
    gate.open();
    assert.equal(codeOf(await add), 3);
    await node.context.removal.settled();
    assert.deepEqual([attached(node.context.table), [...node.openPorts], node.pods()], [0, [], []]);
    assert.equal(codeOf(await node.call('ADD', pod)), 0, 'the name is free again');
    assert.equal(codeOf(await node.call('DEL', pod)), 0);
  });
}

test('an ADD behind a DEL is for a new attachment, and one behind an ADD is refused', async () => {
  using pod = createNamespace();
  const gate = createGate();
  await using node = startNode({ admit: gate });
  node.read();
  const calls = ['ADD', 'DEL', 'ADD', 'ADD'].map((command) => node.call(command, pod));
  await gate.reached;
  gate.open();
  assert.deepEqual((await Promise.all(calls)).map(codeOf), [3, 0, 0, 101]);
  assert.equal(attached(node.context.table), 1);
});

test('a pod that dies while its ADD waits is not said to be attached', async () => {
  const gate = createGate();
  await using node = startNode({ admit: gate });
  node.read();
  using pod = createNamespace();
  const add = node.call('ADD', pod);
  await gate.reached;
  for (const { index } of node.pods()) node.context.kernel.apply([{ op: 'link.delete', index }]);
  node.read();
  gate.open();
  assert.equal(codeOf(await add), 3);
  assert.deepEqual([...node.openPorts], []);
});

test('until the links were read no command is answered with success, and nothing is touched', async () => {
  using pod = createNamespace();
  using other = createNamespace();
  await using node = startNode();
  node.read();
  const first = await node.call('ADD', pod);
  assert.equal(codeOf(first), 0);
  // As an agent that starts and cannot read.
  const table = createAttachmentTable();
  noteUnread(table, 'EPERM');
  const context = { ...node.context, table };
  const environment = { CNI_CONTAINERID: 'c1', CNI_IFNAME: 'eth0', CNI_PATH: '/x', CNI_NETNS: other.path };
  const configuration = {
    cniVersion: '1.1.0',
    name: 'net',
    type: 'fairlead-cni',
    'cni.dev/valid-attachments': [],
    prevResult: JSON.parse(first.stdout) as object,
  };
  const call = (command: string) =>
    handleCni(
      { environment: { CNI_COMMAND: command, ...environment }, stdin: JSON.stringify(configuration) },
      context,
    );
  for (const command of ['ADD', 'DEL', 'GC', 'CHECK']) {
    const reply = await call(command);
    assert.equal(codeOf(reply), 11, command);
    assert.match(reply.stdout, /not known since .*EPERM/);
  }
  assert.equal(node.pods().length, 1);
  readLinks(table, context.kernel.links());
  assert.equal(codeOf(await call('DEL')), 0);
  await context.removal.settled();
  assert.deepEqual(node.pods(), []);
});

test('a pod of the longest names that there are is known after a restart', async () => {
  using pod = createNamespace();
  await using node = startNode();
  node.read();
  const [namespace, name] = ['n'.repeat(63), `${'p-.'.repeat(84)}p`];
  const more = {
    CNI_CONTAINERID: 'c'.repeat(64),
    CNI_IFNAME: 'i'.repeat(15),
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${name}`,
  };
  assert.equal(codeOf(await node.call('ADD', pod, more)), 0);
  const restarted = createAttachmentTable();
  readLinks(restarted, node.context.kernel.links());
  assert.ok(restarted.now.known);
  const [read] = restarted.now.live.values();
  assert.deepEqual([read?.pod, read?.portMappings?.length, read?.ips.length], [{ namespace, name }, 1, 2]);
  assert.equal(codeOf(await node.call('DEL', pod, more)), 0);
});
