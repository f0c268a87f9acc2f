/** What a packet, a connection and a gigabyte cost between pods, against Flannel's shape and against bare veth. */
import { fileURLToPath } from 'node:url';
import { run } from '../../lab/namespaces.ts';
import { type Bench, type Case, findCase, type Ratio, summarize } from '../shared/bench.ts';
import { attachPod, cleanUp, connectHosts, hostName, startCluster } from '../shared/cluster.ts';
import { attachFlannelPod, buildFlannel } from './flannel.ts';

const PROGRAM = fileURLToPath(new URL('../../build/bench-packets', import.meta.url));
const ROUNDS = 40;
const METRICS = {
  packet: { name: 'CPU per 64-byte packet', unit: 'ns' },
  connection: { name: 'CPU per connection', unit: 'µs' },
  gigabyte: { name: 'CPU per GB', unit: 's' },
  'round trip': { name: 'polling round trip, p10', unit: 'µs' },
} as const;
type Metric = keyof typeof METRICS;

type Path = { name: string; from: string; to: string; address: string };

export const datapath: Bench = {
  name: 'datapath',
  summary:
    "CPU per packet, connection and GB, and round trips: same node, direct and VXLAN, against Flannel's shape and bare veth",
  run: async (tell) => {
    const directories: string[] = [];
    await cleanUp();
    try {
      tell('clusters of Fairlead and of Flannel’s shape, a bare veth');
      const paths = await buildPaths(directories);
      tell(`${ROUNDS} rounds over ${paths.length} paths in turn`);
      const output = await run(PROGRAM, [
        String(ROUNDS),
        ...paths.map(({ name, from, to, address }) => `${name}:${hostName(from)}:${hostName(to)}:${address}`),
      ]);
      return evaluate(paths, output);
    } finally {
      await cleanUp(directories);
    }
  },
};

async function buildPaths(directories: string[]): Promise<Path[]> {
  const direct = await startCluster('d', 2, 'host-gw');
  directories.push(direct.directory);
  await attachPod(direct.nodes[0]!, 'dp1');
  const neighbor = await attachPod(direct.nodes[0]!, 'dp2');
  const remote = await attachPod(direct.nodes[1]!, 'dp3');
  const tunnel = await startCluster('v', 2, 'vxlan');
  directories.push(tunnel.directory);
  await attachPod(tunnel.nodes[0]!, 'vp1');
  const tunnelled = await attachPod(tunnel.nodes[1]!, 'vp2');

  const plain = await startCluster('n', 2, 'host-gw', ['masquerade: { enabled: false }']);
  directories.push(plain.directory);
  await attachPod(plain.nodes[0]!, 'np1');
  const plainNeighbor = await attachPod(plain.nodes[0]!, 'np2');
  const plainTunnel = await startCluster('t', 2, 'vxlan', ['masquerade: { enabled: false }']);
  directories.push(plainTunnel.directory);
  await attachPod(plainTunnel.nodes[0]!, 'tp1');
  const plainTunnelled = await attachPod(plainTunnel.nodes[1]!, 'tp2');

  await buildFlannel('g', 'host-gw');
  await attachFlannelPod('g1', 0, 1, 'gp1', 1500);
  const flannelNeighbor = await attachFlannelPod('g1', 0, 2, 'gp2', 1500);
  const flannelRemote = await attachFlannelPod('g2', 1, 1, 'gp3', 1500);
  await buildFlannel('x', 'vxlan');
  await attachFlannelPod('x1', 0, 1, 'xp1', 1450);
  const flannelTunnelled = await attachFlannelPod('x2', 1, 1, 'xp2', 1450);

  await connectHosts('b1', 'b2');
  return [
    { name: 'bare', from: 'b1', to: 'b2', address: '192.168.1.3' },
    { name: 'same node, flannel', from: 'gp1', to: 'gp2', address: flannelNeighbor },
    { name: 'same node, fairlead', from: 'dp1', to: 'dp2', address: neighbor },
    { name: 'same node, fairlead unmasqueraded', from: 'np1', to: 'np2', address: plainNeighbor },
    { name: 'direct, flannel', from: 'gp1', to: 'gp3', address: flannelRemote },
    { name: 'direct, fairlead', from: 'dp1', to: 'dp3', address: remote },
    { name: 'vxlan, flannel', from: 'xp1', to: 'xp2', address: flannelTunnelled },
    { name: 'vxlan, fairlead', from: 'vp1', to: 'vp2', address: tunnelled },
    { name: 'vxlan, fairlead unmasqueraded', from: 'tp1', to: 'tp2', address: plainTunnelled },
  ];
}

function evaluate(paths: readonly Path[], output: string): { cases: Case[]; ratios: Ratio[] } {
  const measured = output
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { path: string; metric: Metric; value: number });
  const cases = (Object.keys(METRICS) as Metric[]).flatMap((metric) =>
    paths.map(({ name }) => {
      const values = measured
        .filter((one) => one.path === name && one.metric === metric)
        .map(({ value }) => value);
      return summarize(name, METRICS[metric].name, METRICS[metric].unit, values);
    }),
  );
  const ratio = (key: string, a: string, b: string, metric: Metric, budget?: number): Ratio => ({
    key,
    value: findCase(cases, a, METRICS[metric].name).best / findCase(cases, b, METRICS[metric].name).best,
    ...(budget === undefined ? {} : { budget }),
  });
  const places = [
    ['same_node', 'same node'],
    ['direct', 'direct'],
    ['vxlan', 'vxlan'],
  ] as const;
  return {
    cases,
    ratios: [
      ...places.map(([key, place]) =>
        ratio(`${key}_vs_flannel`, `${place}, fairlead`, `${place}, flannel`, 'packet', 0.78),
      ),
      ratio(
        'same_node_unmasqueraded_vs_flannel',
        'same node, fairlead unmasqueraded',
        'same node, flannel',
        'packet',
      ),
      ratio('vxlan_unmasqueraded_vs_flannel', 'vxlan, fairlead unmasqueraded', 'vxlan, flannel', 'packet'),
      ...places.map(([key, place]) => ratio(`${key}_vs_bare`, `${place}, fairlead`, 'bare', 'packet')),
      ...places.map(([key, place]) =>
        ratio(`${key}_rtt_vs_flannel`, `${place}, fairlead`, `${place}, flannel`, 'round trip'),
      ),
      ...places.map(([key, place]) =>
        ratio(`${key}_connection_vs_flannel`, `${place}, fairlead`, `${place}, flannel`, 'connection'),
      ),
    ],
  };
}
