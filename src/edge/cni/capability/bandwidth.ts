/** The capability `bandwidth`: how fast a pod may receive and send. */
import { defined, inAnyCase, integerAt, type JsonObject, objectAt, refuseField } from '../json.ts';

export type Rate = {
  /** Bits per second. */
  rate: number;
  /** Bits that may pass at once; less than one packet would let nothing pass, and counts as one packet. */
  burst: number;
};

/** Ingress is towards the pod. */
export type Bandwidth = { ingress?: Rate; egress?: Rate };

const FIELD = 'runtimeConfig.bandwidth';
const RATES = [0, Number.MAX_SAFE_INTEGER] as const;
/** The kernel's token bucket counts bytes in 32 bits (linux/pkt_sched.h, tc_tbf_qopt). */
const BURSTS = [0, 8 * (2 ** 32 - 1)] as const;

/** @returns undefined where nothing is limited. */
export function parseBandwidth(runtimeConfig: JsonObject): Bandwidth | undefined {
  const bandwidth = inAnyCase(objectAt(runtimeConfig, 'bandwidth', FIELD), [
    'ingressRate',
    'ingressBurst',
    'egressRate',
    'egressBurst',
  ]);
  const limits = defined({
    ingress: parseRate(bandwidth, 'ingress'),
    egress: parseRate(bandwidth, 'egress'),
  });
  return Object.keys(limits).length === 0 ? undefined : limits;
}

/** Zero is no limit, as runtimes write it. */
function parseRate(bandwidth: JsonObject, direction: 'ingress' | 'egress'): Rate | undefined {
  const rate = integerAt(bandwidth, `${direction}Rate`, RATES, `${FIELD}.${direction}Rate`) ?? 0;
  const burst = integerAt(bandwidth, `${direction}Burst`, BURSTS, `${FIELD}.${direction}Burst`) ?? 0;
  if (rate === 0 && burst === 0) return undefined;
  if (rate === 0)
    throw refuseField(`${FIELD}.${direction}Rate`, rate, `give one with ${direction}Burst, or neither`);
  if (burst === 0)
    throw refuseField(`${FIELD}.${direction}Burst`, burst, `give one with ${direction}Rate, or neither`);
  return { rate, burst };
}
