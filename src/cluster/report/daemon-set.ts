/** Whether Fairlead is being removed from the cluster, or only this agent is replaced. */

import { fieldsAt, isFields, textAt } from '../../base/fields/fields.ts';
import type { Logger } from '../../base/log/logger.ts';
import { isStatus } from '../../edge/kubernetes/api-error.ts';
import type { KubeClient } from '../../edge/kubernetes/client.ts';
import { podNamespace } from '../../edge/kubernetes/in-cluster.ts';

export type Removal = {
  /** Asked when the agent is told to stop. An API that does not answer, or to which our token has expired, is no removal. */
  isUnderWay(): Promise<boolean>;
};

/** Milliseconds: an agent that is told to stop has not long. */
const PATIENCE_MS = 5000;

/**
 * Looks at the DaemonSet now, so that a refusal later tells that our rights went away with it: a removal of all at once
 * removes them at the same moment.
 * @param daemonSet its name, or `namespace/name`.
 */
export function watchRemoval(client: KubeClient, daemonSet: string, log: Logger): Removal {
  const [name = '', namespace = podNamespace() ?? 'kube-system'] = daemonSet.split('/').toReversed();
  const path = `/apis/apps/v1/namespaces/${namespace}/daemonsets/${name}`;
  const ask = () => client.json({ path, totalMs: PATIENCE_MS });
  // One that was never seen is a wrong name, which must not look like a removal at every stop.
  const seen = ask().then(
    () => true,
    (error: unknown) => {
      log.warn('cni.daemonSet cannot be read, so its removal will not be noticed', {
        daemonSet,
        reason: error,
      });
      return false;
    },
  );
  return {
    isUnderWay: async () => {
      try {
        const answer = await ask();
        return isFields(answer) && textAt(fieldsAt(answer, 'metadata'), 'deletionTimestamp') !== undefined;
      } catch (error) {
        return isStatus(error, 403, 404) && (await seen);
      }
    },
  };
}
