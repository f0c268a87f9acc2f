/**
 * From where services get their addresses, as far as the cluster says so (since Kubernetes 1.33). It changes next to
 * never: it is read at the start and a few times an hour, so that thousands of agents hold no watch for it.
 */
import type { Cidr } from '../../base/ip/cidr.ts';
import type { Logger } from '../../base/log/logger.ts';
import { Runner } from '../../base/run/runner.ts';
import { isStatus } from '../../edge/kubernetes/api-error.ts';
import type { KubeClient } from '../../edge/kubernetes/client.ts';
import { readKind } from '../../edge/kubernetes/read-kind.ts';
import { SERVICE_RANGE_KIND } from '../kinds/service-range.ts';

export type ServiceRanges = { readonly ranges: readonly Cidr[]; [Symbol.dispose](): void };

const PERIOD_MS = 900_000;

/** @param onChange called when they are others than before; until the first answer there are none. */
export function followServiceRanges(
  client: KubeClient,
  onChange: () => void,
  log: Logger,
  periodMs: number = PERIOD_MS,
): ServiceRanges {
  let ranges: readonly Cidr[] = [];
  const controller = new AbortController();
  const read = async () => {
    const { objects, problems } = await readKind(client, SERVICE_RANGE_KIND, controller.signal);
    for (const problem of problems) log.warn(problem);
    const now = objects.flatMap((object) => object.ranges).sort();
    if (String(now) === String(ranges)) return;
    ranges = now;
    onChange();
  };
  const runner = new Runner({
    task: async () => {
      try {
        await read();
      } catch (error) {
        // An account without the right goes without: cluster.serviceNetwork says the same.
        if (!isStatus(error, 403)) throw error;
      }
    },
    onError: (error, retryAfterMs) =>
      log.debug('the ranges of services could not be read', { reason: error, retryAfterMs }),
    periodMs,
  });
  runner.trigger('start');
  return {
    get ranges() {
      return ranges;
    },
    [Symbol.dispose]: () => {
      controller.abort();
      void runner.stop();
    },
  };
}
