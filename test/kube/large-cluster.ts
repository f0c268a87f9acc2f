/** Reads 5,000 nodes and 20,000 pods from the API at argv[2] as an agent would, and prints what that took; without one it only loads. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { KubeClient } from '../../src/kube/client.ts';
import { NODE_KIND } from '../../src/kube/kinds/node.ts';
import type { Kind, KubeObject } from '../../src/kube/kinds/object.ts';
import { POD_KIND } from '../../src/kube/kinds/pod.ts';
import { Reflector } from '../../src/kube/reflector.ts';

export type LargeCluster = {
  nodes: number;
  pods: number;
  problems: readonly string[];
  /** Bytes. */
  residentBefore: number;
  resident: number;
  residentPeak: number;
  /** Milliseconds for which nothing else could happen, at the worst. */
  longestStallMs: number;
};

if (process.argv[2] === undefined) process.exit();

const client = new KubeClient({ server: new URL(process.argv[2]), origin: 'test' });
const residentBefore = process.memoryUsage.rss();
const delay = monitorEventLoopDelay({ resolution: 5 });
delay.enable();

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
delay.disable();
const result: LargeCluster = {
  nodes: nodes.objects.size,
  pods: pods.objects.size,
  problems: [...nodes.problems, ...pods.problems],
  residentBefore,
  resident: process.memoryUsage.rss(),
  // Kilobytes on Linux.
  residentPeak: process.resourceUsage().maxRSS * 1024,
  longestStallMs: Math.round(delay.max / 1e5) / 10,
};
console.log(JSON.stringify(result));
process.exit();
