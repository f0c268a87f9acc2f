/**
 * The embedded API with a large cluster in it, as a process of its own: argv[2] is a file with port, token,
 * certificate and key. What happens to its nodes it is told by messages; each is answered with the time of the write.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { Api } from '../../lab/api/api.ts';
import { kindNamed } from '../../lab/api/kinds.ts';
import { apiListener } from '../../lab/api/server.ts';
import { withField } from '../../lab/api/storage/object.ts';
import { createStore } from '../../lab/api/storage/store.ts';
import type { ApiAccess } from '../../lab/api-access.ts';
import { monotonicMs } from './clock.ts';
import { NAMESPACES, NODES, namespaceObject, nodeObject, PODS, podObject } from './objects.ts';

export type Order =
  | { id: number; what: 'write'; node: number; life: number; move: number }
  | { id: number; what: 'remove'; node: number }
  /** Every so often some node says that it is alive, as kubelets do: nothing else of it changes. */
  | { id: number; what: 'heartbeats'; perSecond: number; count: number };

export type Done = { id: number; at: number };

const [nodes, pods, namespaces] = [kindNamed('Node'), kindNamed('Pod'), kindNamed('Namespace')];
const store = createStore({
  version: 1,
  objects: [
    ...Array.from({ length: NODES }, (_, i) => [nodes, nodeObject(i, 0, 0)] as const),
    ...Array.from({ length: PODS }, (_, i) => [pods, podObject(i)] as const),
    ...NAMESPACES.map((name, i) => [namespaces, namespaceObject(name, i)] as const),
  ].map(([kind, object]): Parameters<typeof createStore>[0]['objects'][number] => [kind, object]),
});
const api: Api = {
  store,
  now: Date.now,
  newUid: () => crypto.randomUUID(),
  stopsPods: () => false,
  logs: () => undefined,
};

let beats = 0;

function beat(): void {
  const node = store.get(nodes, undefined, `node-${1 + ((beats++ * 7) % (NODES - 1))}`);
  if (node === undefined) return;
  const lastHeartbeatTime = new Date().toISOString();
  store.put(nodes, {
    ...node,
    ...withField(
      node,
      ['status', 'conditions'],
      [{ type: 'Ready', status: 'True', lastHeartbeatTime, lastTransitionTime: '2026-01-01T00:00:00Z' }],
    ),
    metadata: node.metadata,
  });
}

function done({ id }: Order, at: number): void {
  process.send?.({ id, at } satisfies Done);
}

process.on('message', (order: Order) => {
  const at = monotonicMs();
  switch (order.what) {
    case 'write':
      store.put(nodes, nodeObject(order.node, order.life, order.move));
      return done(order, at);
    case 'remove':
      store.remove(nodes, store.get(nodes, undefined, `node-${order.node}`)!);
      return done(order, at);
    case 'heartbeats': {
      let left = order.count;
      const timer = setInterval(() => {
        beat();
        if (--left > 0) return;
        clearInterval(timer);
        done(order, monotonicMs());
      }, 1000 / order.perSecond);
    }
  }
});
process.on('disconnect', () => process.exit());

const access = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as ApiAccess;
const server = createServer(
  { key: access.key, cert: access.certificate },
  apiListener(api, [{ token: access.token }]),
);
server.listen(access.port, '127.0.0.1', () => process.send?.({ id: 0, at: monotonicMs() } satisfies Done));
