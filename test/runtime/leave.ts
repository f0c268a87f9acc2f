/** Starts a container by each runtime on the lab that is named, says where, and waits to be killed: for the test that cleans up after it. */
import { setInterval } from 'node:timers';
import { nodePaths, requireLab } from '../../lab/state.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { startContainerd, writeNetworkList } from './containerd.ts';
import { IMAGE } from './image.ts';
import { setUpPodman } from './podman.ts';
import { openWorkplace } from './workplace.ts';

const plan = requireLab(process.argv[2]!);
const node = plan.nodes[0]!;
const places = [await openWorkplace('containerd'), await openWorkplace('podman')] as const;
writeNetworkList(plan, node, places[0]);
const runtime = await startContainerd(node, places[0]);
const sandbox = { name: 'left' };
const sandboxId = await runtime.run(sandbox);
await runtime.cri.runContainer(sandboxId, sandbox, {
  name: 'left',
  image: IMAGE,
  command: ['/bin/sleep', '100000'],
});
const podman = await setUpPodman(plan, node, places[1]);
await podman('run', '--detach', '--network', 'fairlead', '--cgroup-parent', `/${places[1].cgroup}`, IMAGE);
const { attachments } = await askStatus(nodePaths(plan.options.name, node.name).apiSocket);
const left = {
  places: places.map(({ path, cgroup }) => ({ path, cgroup })),
  containers: attachments.map(({ containerId }) => containerId),
  namespaces: places[1].namespaces(),
};
process.stdout.write(`${JSON.stringify(left)}\n`);
setInterval(() => undefined, 1 << 30);
