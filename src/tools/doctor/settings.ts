/** What the node must be set to, and what others on it may do to the packets of pods. */
import type { Cidr } from '../../base/ip/cidr.ts';
import type { NetworkConfiguration, Route } from '../../edge/netlink/objects.ts';
import type { ListedChain } from '../../edge/nftables/nft.ts';
import { describeRoute, foreignRoutes } from '../../plan/overlay/foreign-routes.ts';
import { broken, doubtful, type Finding, fine } from './finding.ts';

const STRICT = 1;

/** @param sysctls by name, as read. */
export function judgeForwarding(sysctls: Readonly<Record<string, string | undefined>>): Finding[] {
  return Object.entries(sysctls).flatMap(([name, value]) => {
    if (value === undefined) return [];
    return value === '1'
      ? [fine('forwarding', `${name} is 1`)]
      : [
          broken(
            'forwarding',
            `${name} is ${value}; the agent sets it to 1, so something sets it back`,
            `find who does (grep -r ${name} /etc/sysctl.d /usr/lib/sysctl.d), and write 1 there`,
          ),
        ];
  });
}

/** @param names of the interfaces that carry the cluster's packets. */
export function judgeReversePath(
  names: ReadonlyMap<number, string>,
  configurations: readonly NetworkConfiguration[],
): Finding[] {
  const ipv4 = configurations.filter(({ family }) => family === 4);
  const all = ipv4.find(({ scope }) => scope === 'all')?.rpFilter ?? 0;
  return [...names].map(([index, name]) => {
    const own = ipv4.find(({ scope }) => typeof scope === 'object' && scope.link === index)?.rpFilter ?? 0;
    const value = Math.max(all, own);
    return value === STRICT
      ? broken(
          `reverse path filter of ${name}`,
          'it is strict, and drops answers that come another way than they were asked for',
          `let the agent loosen it (it does at every resync), or find who sets it back: sysctl net.ipv4.conf.${name}.rp_filter`,
        )
      : fine(`reverse path filter of ${name}`, value === 0 ? 'off' : 'loose');
  });
}

/** Chains of others that drop what they do not know, where packets of pods pass. */
export function judgeFirewalls(chains: readonly ListedChain[]): Finding[] {
  const dropping = chains.filter(
    ({ table, hook, policy }) => hook === 'forward' && policy === 'drop' && !/ fairlead(-|$)/.test(table),
  );
  if (dropping.length === 0) return [fine('firewalls of others', 'none drops forwarded packets by default')];
  return dropping.map(({ table, chain }) =>
    doubtful(
      'firewalls of others',
      `chain ${chain} of table ${table} drops forwarded packets that none of its rules accepts`,
      'accept the pod network there in both directions, as source and as destination; Docker does so without asking (daemon.json: "iptables": false)',
    ),
  );
}

/**
 * Other routes of the node that lead into the pod network, or that it would hide.
 * @param loopback index of the interface that holds the node's own addresses, whose routes the kernel makes.
 */
export function judgeOverlaps(
  routes: readonly Route[],
  podNetwork: readonly Cidr[],
  loopback: number,
  names: ReadonlyMap<number, string> = new Map(),
): Finding[] {
  const foreign = foreignRoutes(routes, podNetwork, loopback);
  if (foreign.length === 0) return [fine('ranges', `no other route leads into ${podNetwork.join(', ')}`)];
  return foreign.map((route) =>
    broken(
      'ranges',
      `a route to ${describeRoute(route, names)} overlaps the pod network ${podNetwork.join(', ')}`,
      'take the route away, or choose a pod network that nobody else uses',
    ),
  );
}

/** @param release as in `6.1.0-28-amd64`. */
export function judgeKernel(release: string): Finding {
  const [major = 0, minor = 0] = release.split('.').map((part) => Number.parseInt(part, 10));
  return major > 5 || (major === 5 && minor >= 8)
    ? fine('kernel', release)
    : broken(
        'kernel',
        `${release} cannot forget connections by a filter, which ports of the node need`,
        'run Linux 5.8 or later',
      );
}
