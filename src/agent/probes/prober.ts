/** Probes the paths to the peers all the time, a few at a time. */
import { describeError } from '../../base/errors/errors.ts';
import type { IpFamily } from '../../base/ip/ip.ts';
import type { Logger } from '../../base/log/logger.ts';
import type { Metric } from '../../base/metrics/registry.ts';
import { type EchoSocket, openEchoSocket } from '../../edge/echo/echo-socket.ts';
import { problemsOfSilence } from '../../plan/probe/problems.ts';
import { createRounds, type Reach } from '../../plan/probe/rounds.ts';
import type { Target } from '../../plan/probe/target.ts';
import { createProbeMetrics } from './metrics.ts';

export type ProberOptions = {
  /** Seconds in which every peer has its turn, as it is configured now; 0: none has. */
  intervalSeconds: () => number;
  log: Logger;
};

export type Prober = {
  aim(targets: readonly Target[]): void;
  readonly reaches: readonly Reach[];
  readonly silent: readonly Reach[];
  readonly problems: readonly string[];
  metrics(): Metric[];
  [Symbol.dispose](): void;
};

const TICK_MS = 250;
const REOPEN_MS = 60_000;

export function startProber({ intervalSeconds, log }: ProberOptions): Prober {
  const rounds = createRounds();
  const metrics = createProbeMetrics();
  const sockets = new Map<IpFamily, EchoSocket>();
  const refused = new Map<IpFamily, { problem: string; atMs: number }>();
  let wanted: readonly Target[] = [];
  let families: ReadonlySet<IpFamily> = new Set();
  /** What the rounds are aimed at. */
  let aimed: { at: readonly Target[]; over: string } | undefined;
  let told: readonly string[] = [];

  const close = () => {
    for (const socket of sockets.values()) socket[Symbol.dispose]();
    sockets.clear();
    refused.clear();
  };
  const open = (family: IpFamily): EchoSocket | undefined => {
    const known = sockets.get(family);
    if (known !== undefined) return known;
    if (nowMs() - (refused.get(family)?.atMs ?? -Infinity) < REOPEN_MS) return undefined;
    try {
      const socket = openEchoSocket(family);
      sockets.set(family, socket);
      refused.delete(family);
      return socket;
    } catch (error) {
      refused.set(family, { problem: describeError(error), atMs: nowMs() });
      return undefined;
    }
  };
  const receive = () => {
    for (const socket of sockets.values()) {
      for (const { token, seconds } of socket.receive()) {
        const reach = rounds.answered(token, seconds, nowMs());
        if (reach?.rttSeconds === seconds) metrics.answered(reach.target.path.mode, seconds);
      }
    }
    rounds.expire(nowMs());
  };
  const aim = () => {
    // Who cannot be asked is not silent.
    const usable =
      intervalSeconds() === 0 ? [] : [...families].filter((family) => open(family) !== undefined);
    const over = String(usable);
    if (aimed?.at === wanted && aimed.over === over) return;
    aimed = { at: wanted, over };
    rounds.aim(wanted.filter(({ family }) => usable.includes(family)));
  };
  const send = () => {
    for (const { token, target } of rounds.due(nowMs(), intervalSeconds() * 1000)) {
      try {
        sockets.get(target.family)?.send(target.address, token);
      } catch (error) {
        // What does not leave is not answered either.
        log.debug('a probe was not sent', { peer: target.peer, reason: describeError(error) });
      }
    }
  };
  const tell = () => {
    const problems = problemsOf();
    for (const problem of problems) if (!told.includes(problem)) log.warn(problem);
    for (const problem of told) if (!problems.includes(problem)) log.info('no longer a problem', { problem });
    told = problems;
  };
  const problemsOf = () => [
    ...[...refused.values()].map(({ problem }) => problem),
    ...problemsOfSilence(rounds.silent, rounds.reaches.length),
  ];
  const timer = setInterval(() => {
    if (intervalSeconds() === 0) close();
    receive();
    aim();
    send();
    tell();
  }, TICK_MS);
  timer.unref();
  return {
    aim: (targets) => {
      wanted = targets;
      families = new Set(targets.map(({ family }) => family));
    },
    get reaches() {
      return rounds.reaches;
    },
    get silent() {
      return rounds.silent;
    },
    get problems() {
      return told;
    },
    metrics: () => metrics.all(rounds.reaches, rounds.silent),
    [Symbol.dispose]: () => {
      clearInterval(timer);
      close();
    },
  };
}

/** Since the epoch, by a clock that nobody sets. */
function nowMs(): number {
  return performance.timeOrigin + performance.now();
}
