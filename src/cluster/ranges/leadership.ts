/** One of all agents at a time, by a Lease of the API. No clock is compared with another machine's. */
import { isStatus } from '../../edge/kubernetes/api-error.ts';
import type { KubeClient } from '../../edge/kubernetes/client.ts';
import { type Lease, leasePath, microTime, trimLease } from '../kinds/lease.ts';

export type LeadershipOptions = {
  client: KubeClient;
  namespace: string;
  name: string;
  /** Of this process and no other, not even of its next start. */
  identity: string;
  /** For how long others wait after the last sign of life. */
  durationSeconds?: number;
  /** Milliseconds of a clock that only goes forward. */
  now?: () => number;
};

/** A record as it was first seen, by our own clock. */
export type Sighting = { resourceVersion: string; atMs: number };

/**
 * Whether the record may be taken over: it is free, it is ours, or it stayed the same before our own eyes for as long
 * as its holder promised to renew it. Times that the holder wrote are not looked at: its clock may be wrong, and ours.
 */
export function mayTake(lease: Lease, identity: string, seen: Sighting | undefined, nowMs: number): boolean {
  if (lease.holder === '' || lease.holder === identity) return true;
  return seen?.resourceVersion === lease.resourceVersion && nowMs - seen.atMs >= lease.durationSeconds * 1000;
}

export class Leadership {
  readonly #options: Required<LeadershipOptions>;
  #seen: Sighting | undefined;
  #until = -Infinity;

  constructor(options: LeadershipOptions) {
    this.#options = { durationSeconds: 15, now: () => performance.now(), ...options };
  }

  /** Milliseconds for which no other can have taken over; a third of the promise is kept back for what is on its way. */
  get remainingMs(): number {
    return Math.max(0, this.#until - this.#options.now());
  }

  /** Milliseconds that a request may take which was sent while we led. */
  get graceMs(): number {
    return (this.#options.durationSeconds * 1000) / 3;
  }

  /** Takes or renews the lease. @returns false while another holds it. @throws ApiError */
  async take(): Promise<boolean> {
    const { identity, now, durationSeconds } = this.#options;
    const started = now();
    const lease = await this.#read();
    if (lease !== undefined && lease.resourceVersion !== this.#seen?.resourceVersion)
      this.#seen = { resourceVersion: lease.resourceVersion, atMs: now() };
    if (lease !== undefined && !mayTake(lease, identity, this.#seen, started)) return false;
    if (!(await this.#write(lease, identity))) return false;
    this.#until = started + (durationSeconds * 1000 * 2) / 3;
    return true;
  }

  /** Lets others take over at once; where this fails they wait for the end of the lease. */
  async release(): Promise<void> {
    if (this.#until === -Infinity) return;
    this.#until = -Infinity;
    const lease = await this.#read().catch(() => undefined);
    if (lease?.holder === this.#options.identity) await this.#write(lease, '').catch(() => undefined);
  }

  async #read(): Promise<Lease | undefined> {
    const { client, namespace, name } = this.#options;
    try {
      const path = leasePath(namespace, name);
      const trimmed = trimLease(await client.json({ path, totalMs: this.graceMs }));
      if ('object' in trimmed) return trimmed.object;
      throw new Error(`lease ${namespace}/${name}: ${trimmed.problem}; delete it`);
    } catch (error) {
      if (isStatus(error, 404)) return undefined;
      throw error;
    }
  }

  /** @returns false when another was faster. */
  async #write(lease: Lease | undefined, holder: string): Promise<boolean> {
    const { client, namespace, name, durationSeconds } = this.#options;
    const now = microTime(new Date());
    const changes = lease !== undefined && holder !== '' && lease.holder !== holder;
    const body = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: {
        name,
        namespace,
        ...(lease === undefined ? {} : { uid: lease.uid, resourceVersion: lease.resourceVersion }),
      },
      spec: {
        holderIdentity: holder,
        leaseDurationSeconds: durationSeconds,
        acquireTime: lease === undefined || changes || lease.acquireTime === '' ? now : lease.acquireTime,
        renewTime: now,
        leaseTransitions: (lease?.transitions ?? 0) + (changes ? 1 : 0),
      },
    };
    try {
      await client.json(
        lease === undefined
          ? { method: 'POST', path: leasePath(namespace), body, totalMs: this.graceMs }
          : { method: 'PUT', path: leasePath(namespace, name), body, totalMs: this.graceMs },
      );
      return true;
    } catch (error) {
      if (isStatus(error, 404, 409)) return false;
      throw error;
    }
  }
}
