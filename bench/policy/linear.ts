/** The same policies as rules that are read one after another, by Debian's iptables, which writes nftables rules. */

import { namespacePath, run } from '../../lab/namespaces.ts';
import type { Ip } from '../../src/base/ip/ip.ts';
import { hostName } from '../shared/cluster.ts';
import type { Allowed } from './policies.ts';

/** Per pod and direction a chain with a rule for each who is allowed; what none of them allows is dropped. */
export async function applyLinear(
  node: string,
  pods: readonly Ip[],
  allowed: readonly Allowed[],
): Promise<void> {
  const chains = pods.flatMap((ip, index) => [
    { chain: `OUT-${index}`, own: `-s ${ip}`, other: '-d' },
    { chain: `IN-${index}`, own: `-d ${ip}`, other: '-s' },
  ]);
  const lines = [
    '*filter',
    ':FORWARD ACCEPT [0:0]',
    ...chains.map(({ chain }) => `:${chain} - [0:0]`),
    '-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT',
    ...chains.map(({ chain, own }) => `-A FORWARD ${own} -j ${chain}`),
    ...chains.flatMap(({ chain, other }) => [
      ...allowed.flatMap(({ ip, port, protocols }) =>
        protocols.map(
          (protocol) => `-A ${chain} ${other} ${ip} -p ${protocol.toLowerCase()} --dport ${port} -j RETURN`,
        ),
      ),
      `-A ${chain} -j DROP`,
    ]),
    'COMMIT',
    '',
  ];
  await run('nsenter', [`--net=${namespacePath(hostName(node))}`, 'iptables-nft-restore'], lines.join('\n'));
}
