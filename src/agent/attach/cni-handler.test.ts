import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIp } from '../../base/ip/ip.ts';
import { createLogger } from '../../base/log/logger.ts';
import { createFakeNamespace, openFakeKernel } from '../../edge/netlink/fake/fake.ts';
import { type Kernel, NetlinkError } from '../../edge/netlink/kernel.ts';
import { attachmentId } from '../../plan/pod/attachment.ts';
import { createAttachmentTable, type LiveAttachment, readLinks } from '../node/attachments.ts';
import { LinkRemoval } from '../node/link-removal.ts';
import { type CniContext, handleCni } from './cni-handler.ts';

/** Refuses whatever concerns these links. */
function refuseLinks(kernel: Kernel, indexes: readonly number[]): Kernel {
  return {
    ...kernel,
    apply: (operations) =>
      operations.map((operation) =>
        operation.op === 'link.change' && indexes.includes(operation.change.index)
          ? new NetlinkError(`link.change index ${operation.change.index}`, 'EPERM')
          : undefined,
      ),
  };
}

test('F: GC goes on over what fails, and reports all of it', async () => {
  const attachments = [1, 2, 3, 4].map(
    (number): LiveAttachment => ({
      network: 'net',
      containerId: `c${number}`,
      ifname: 'eth0',
      ips: [parseIp(`10.244.0.${number + 1}`)],
      linkIndex: 10 + number,
    }),
  );
  const table = createAttachmentTable();
  readLinks(table, []);
  const { now } = table;
  assert.ok(now.known);
  for (const attachment of attachments) now.live.set(attachmentId(attachment), attachment);
  const kernel = refuseLinks(openFakeKernel(createFakeNamespace()), [11, 13]);
  const closed: string[] = [];
  const context = {
    log: createLogger({ level: 'error', format: 'json' }, () => undefined),
    kernel,
    table,
    removal: new LinkRemoval(
      kernel,
      () => undefined,
      () => undefined,
    ),
    admit: () => Promise.resolve(),
    hostPorts: {
      open: () => Promise.resolve(),
      close: ({ containerId }: LiveAttachment) => Promise.resolve(void closed.push(containerId)),
      areOpen: () => true,
    },
  } as unknown as CniContext;
  const configuration = {
    cniVersion: '1.1.0',
    name: 'net',
    type: 'fairlead-cni',
    'cni.dev/valid-attachments': [{ containerID: 'c4', ifname: 'eth0' }],
  };
  const frame = {
    environment: { CNI_COMMAND: 'GC', CNI_PATH: '/opt/cni/bin' },
    stdin: JSON.stringify(configuration),
  };
  const { exitCode, stdout } = await handleCni(frame, context);
  assert.equal(exitCode, 1);
  assert.match(stdout, /container c1 \(eth0\): .*EPERM.*container c3 \(eth0\): .*EPERM/);
  assert.doesNotMatch(stdout, /container c2/);
  assert.deepEqual(closed, ['c1', 'c2', 'c3']);
  assert.deepEqual(
    [...now.live.values()].map(({ containerId }) => containerId),
    ['c1', 'c3', 'c4'],
    'what the kernel keeps is attached still',
  );
  await context.removal.settled();
});
