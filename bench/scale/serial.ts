/** The same node table as Flannel writes it: per peer a neighbor, a forwarding entry and a route, one after the other. */

import { namespacePath, run } from '../../lab/namespaces.ts';
import { cidrNetwork } from '../../src/base/ip/cidr.ts';
import type { Kernel, Operation } from '../../src/edge/netlink/kernel.ts';
import { MAIN_TABLE, NUD_PERMANENT, SCOPE_UNIVERSE } from '../../src/edge/netlink/objects.ts';
import { tunnelMac } from '../../src/plan/overlay/path.ts';
import { NODES, nodeAddress, nodeRange, nodeUid } from './objects.ts';

const DEVICE = 'flannel.1';
const DEVICE_INDEX = 100;

/** Its tunnel device, over eth0. */
export function makeDevice(kernel: Kernel, lowerIndex: number): void {
  const kind = { type: 'vxlan', vni: 1, port: 8472, lowerIndex, learning: false } as const;
  apply(kernel, { op: 'link.create', link: { index: DEVICE_INDEX, name: DEVICE, up: true, kind } });
}

/** Each request waits for the acknowledgement of the one before. @returns milliseconds for all peers. */
export function writeSerially(kernel: Kernel): number {
  const started = performance.now();
  for (let peer = 1; peer < NODES; peer++) for (const operation of entriesOf(peer)) apply(kernel, operation);
  return performance.now() - started;
}

/** As people do by hand and scripts for them: a process per entry. @returns milliseconds per peer. */
export async function writeByCommands(namespace: string, peers: number): Promise<number> {
  const started = performance.now();
  const inside = (...command: string[]) =>
    run('nsenter', [`--net=${namespacePath(namespace)}`, '--', ...command]);
  for (let peer = 1; peer <= peers; peer++) {
    const [range, mac] = [nodeRange(peer), macOf(peer)];
    const gateway = cidrNetwork(range);
    const state = ['lladdr', mac, 'dev', DEVICE, 'nud', 'permanent'];
    await inside('ip', 'neigh', 'replace', gateway, ...state);
    await inside(
      'bridge',
      'fdb',
      'replace',
      mac,
      'dev',
      DEVICE,
      'dst',
      nodeAddress(peer, 0),
      'self',
      'permanent',
    );
    await inside('ip', 'route', 'replace', range, 'via', gateway, 'dev', DEVICE, 'onlink');
  }
  return (performance.now() - started) / peers;
}

function entriesOf(peer: number): Operation[] {
  const range = nodeRange(peer);
  const [gateway, mac] = [cidrNetwork(range), macOf(peer)];
  const common = { linkIndex: DEVICE_INDEX, state: NUD_PERMANENT };
  return [
    { op: 'neighbor.replace', neighbor: { ...common, ip: gateway, mac } },
    { op: 'fdb.replace', entry: { ...common, mac, destination: nodeAddress(peer, 0) } },
    {
      op: 'route.replace',
      route: {
        destination: range,
        table: MAIN_TABLE,
        protocol: 4,
        type: 'unicast',
        scope: SCOPE_UNIVERSE,
        linkIndex: DEVICE_INDEX,
        gateway,
        onLink: true,
      },
    },
  ];
}

function macOf(peer: number) {
  return tunnelMac({ uid: nodeUid(peer, 0) });
}

function apply(kernel: Kernel, operation: Operation): void {
  const [error] = kernel.apply([operation]);
  if (error !== undefined) throw error;
}
