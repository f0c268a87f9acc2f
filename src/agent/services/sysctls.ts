/** Settings of the connection table as kube-proxy has them by default: how many connections, and how long each stays. */
import { availableParallelism } from 'node:os';
import { describeError } from '../../base/errors/errors.ts';
import type { Sysctls } from '../../edge/sysctl/sysctls.ts';

const LEAST_CONNECTIONS = 131_072;
const CONNECTIONS_PER_CORE = 32_768;

/** @returns one sentence for each that cannot be set. */
export function serviceSysctls(sysctls: Sysctls, cores: number = availableParallelism()): string[] {
  const most = Math.max(LEAST_CONNECTIONS, CONNECTIONS_PER_CORE * cores);
  const wanted = [
    // A larger table is an administrator's.
    { name: 'net.netfilter.nf_conntrack_max', value: String(most), least: true },
    { name: 'net.netfilter.nf_conntrack_tcp_timeout_established', value: '86400' },
    { name: 'net.netfilter.nf_conntrack_tcp_timeout_close_wait', value: '3600' },
  ];
  return wanted.flatMap(({ name, value, least = false }) => {
    try {
      const was = sysctls.read(name);
      if (was === value || (least && Number(was) >= Number(value))) return [];
      sysctls.write({ name, value });
      return [];
    } catch (error) {
      // A namespace that is not the initial one has no limit of its own.
      if (least) return [];
      return [
        `${name} cannot be set to ${value}: ${describeError(error)}; connections end sooner or later than they should`,
      ];
    }
  });
}
