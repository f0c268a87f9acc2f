/** What load balancers are told: whether this node serves, and how many endpoints of a service it has. */
import type { IpFamily } from '../../base/ip/ip.ts';
import type { PlannedService } from './table.ts';

export type HealthAnswer = { status: 200 | 503; headers: Readonly<Record<string, string>>; body: string };

/**
 * How far the node is with what it was told, per family.
 * @property queuedSince present while a change has not been written.
 */
export type FamilyProgress = { family: IpFamily; lastUpdated: Date; queuedSince?: Date };

export type Health = {
  now: Date;
  progress: readonly FamilyProgress[];
  /** Whether balancers may send new connections here: KEP-3836. */
  nodeEligible: boolean;
};

/** A change that has waited for so long makes the node unhealthy: twice what kube-proxy lets one wait. */
const LONGEST_WAIT_MS = 60_000;
const HEADERS = { 'Content-Type': 'application/json', 'X-Content-Type-Options': 'nosniff' } as const;

export function isHealthy({ now, progress }: Pick<Health, 'now' | 'progress'>): boolean {
  return progress.every((family) => isInTime(family, now));
}

function isInTime({ queuedSince }: FamilyProgress, now: Date): boolean {
  return queuedSince === undefined || now.getTime() - queuedSince.getTime() <= LONGEST_WAIT_MS;
}

/** For `/healthz`, which counts the node's eligibility, and `/livez`, which does not. */
export function answerHealthz(health: Health, path: '/healthz' | '/livez'): HealthAnswer {
  const { now, progress, nodeEligible } = health;
  const healthy = isHealthy(health);
  const oldest = progress.reduce(
    (least, { lastUpdated }) => (lastUpdated < least ? lastUpdated : least),
    now,
  );
  const status = progress.map((family) => [
    `IPv${family.family}`,
    { lastUpdated: time(family.lastUpdated), healthy: isInTime(family, now) },
  ]);
  return {
    status: healthy && (path === '/livez' || nodeEligible) ? 200 : 503,
    headers: HEADERS,
    body: JSON.stringify({
      // Who asks for this looks for a time that is recent while all is well, whether or not there was anything to do.
      lastUpdated: time(healthy ? now : oldest),
      currentTime: time(now),
      ...(path === '/livez' ? {} : { nodeEligible }),
      healthy,
      status: Object.fromEntries(status) as object,
    }),
  };
}

/** For the port of a service of type LoadBalancer with external policy Local: what the balancer asks each node. */
export function answerServiceHealth(
  { name, health }: Pick<PlannedService, 'name' | 'health'>,
  healthy: boolean,
): HealthAnswer {
  const localEndpoints = health?.localEndpoints ?? 0;
  const [namespace = '', service = ''] = name.split('/');
  return {
    status: healthy && localEndpoints > 0 ? 200 : 503,
    headers: { ...HEADERS, 'X-Load-Balancing-Endpoint-Weight': String(localEndpoints) },
    body: JSON.stringify({
      service: { namespace, name: service },
      localEndpoints,
      serviceProxyHealthy: healthy,
    }),
  };
}

/** The taint by which an autoscaler says that it will delete the node. */
const TO_BE_DELETED = 'ToBeDeletedByClusterAutoscaler';

/** @param node as the API has it; absent where it is not known, which is no reason to send anything there. */
export function isEligible(
  node: { deleting: boolean; taints: readonly { key: string }[] } | undefined,
): boolean {
  return node !== undefined && !node.deleting && !node.taints.some(({ key }) => key === TO_BE_DELETED);
}

function time(date: Date): string {
  return date.toISOString();
}
