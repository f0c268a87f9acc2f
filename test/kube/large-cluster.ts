/** Reads 5,000 nodes and 20,000 pods from the API at argv[2] as an agent would, and prints what that took; without one it only loads. */

import { NODE_KIND } from '../../src/cluster/kinds/node.ts';
import { POD_KIND } from '../../src/cluster/kinds/pod.ts';
import { KubeClient } from '../../src/edge/kubernetes/client.ts';
import type { Kind, KubeObject } from '../../src/edge/kubernetes/object.ts';
import { Reflector } from '../../src/edge/kubernetes/reflector.ts';

export type LargeCluster = {
  nodes: number;
  pods: number;
  problems: readonly string[];
  /** Bytes. */
  residentBefore: number;
  resident: number;
  residentPeak: number;
  /** Milliseconds of processor time in which nothing else could happen, at the worst: a busy machine adds none. */
  longestStallMs: number;
};

if (process.argv[2] === undefined) process.exit();

const client = new KubeClient({ server: new URL(process.argv[2]), origin: 'test' });
const residentBefore = process.memoryUsage.rss();
let longest = 0;
let last = spentMs();
const watchTurns = setInterval(() => {
  longest = Math.max(longest, spentMs() - last);
  last = spentMs();
}, 1);

/** Milliseconds of processor time of the thread that runs the event loop. */
function spentMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

const complete = <T extends KubeObject>(kind: Kind<T>) =>
  new Promise<Reflector<T>>((resolve) => {
    const reflector: Reflector<T> = new Reflector({
      client,
      kind,
      onChange: () => {
        if (reflector.complete) resolve(reflector);
      },
    });
  });

const [nodes, pods] = await Promise.all([complete(NODE_KIND), complete(POD_KIND)]);
clearInterval(watchTurns);
const result: LargeCluster = {
  nodes: nodes.objects.size,
  pods: pods.objects.size,
  problems: [...nodes.problems, ...pods.problems],
  residentBefore,
  resident: process.memoryUsage.rss(),
  // Kilobytes on Linux.
  residentPeak: process.resourceUsage().maxRSS * 1024,
  longestStallMs: Math.round(longest * 10) / 10,
};
console.log(JSON.stringify(result));
process.exit();
