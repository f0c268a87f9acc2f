/** The conformance suite against the real kernel and against the fake one. */
import {
  createFakeNamespace,
  destroyFakeNamespace,
  openFakeKernel,
  watchFakeKernel,
} from '../../src/edge/netlink/fake/fake.ts';
import { watchKernel } from '../../src/edge/netlink/monitor.ts';
import { NetworkNamespace } from '../../src/edge/netlink/namespace.ts';
import { openKernel } from '../../src/edge/netlink/rtnetlink.ts';
import { createNamespace } from '../namespace.ts';
import { testConformance } from './conformance.ts';

testConformance('the real kernel', () => {
  using stack = new DisposableStack();
  const node = stack.use(createNamespace());
  const pod = createNamespace();
  const podStack = stack.use(new DisposableStack());
  podStack.use(pod);
  // The kernel gives interfaces IPv6 addresses and routes by itself, some time after they are up: no foreign change.
  const quiet = 'for f in all default; do echo 1 > /proc/sys/net/ipv6/conf/$f/disable_ipv6; done';
  for (const space of [node, pod]) space.exec('sh', '-c', quiet);
  const nodeNamespace = stack.use(NetworkNamespace.open(node.path));
  const podNamespace = podStack.use(NetworkNamespace.open(pod.path));
  const world = {
    node: stack.use(openKernel(nodeNamespace)),
    pod: podStack.use(openKernel(podNamespace)),
    endPod: () => podStack.dispose(),
    stranger: stack.use(openKernel(nodeNamespace)),
    podFd: podNamespace.fd,
    watchNode: (own: ReadonlySet<number>, onEvent: Parameters<typeof watchKernel>[0]['onEvent']) =>
      watchKernel({ namespace: nodeNamespace, own, onEvent }),
  };
  const open = stack.move();
  return { ...world, [Symbol.dispose]: () => open.dispose() };
});

testConformance('the fake kernel', () => {
  const nodeNamespace = createFakeNamespace();
  const podNamespace = createFakeNamespace(nodeNamespace.machine);
  return {
    node: openFakeKernel(nodeNamespace),
    pod: openFakeKernel(podNamespace),
    stranger: openFakeKernel(nodeNamespace),
    podFd: podNamespace.fd,
    endPod: () => destroyFakeNamespace(podNamespace),
    watchNode: (own, onEvent) => watchFakeKernel({ namespace: nodeNamespace, own, onEvent }),
    [Symbol.dispose]: () => undefined,
  };
});
