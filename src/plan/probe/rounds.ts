/**
 * Which probe is due, and what came of those that were sent. One after the other in an endless round, at a steady rate;
 * one that missed is asked again at once, so that a path that is cut is known soon however long a round takes.
 */
import type { Target } from './target.ts';

/** Times are milliseconds of one clock. */
export type Reach = {
  target: Target;
  sent: number;
  lost: number;
  /** Of the last answer, in seconds. */
  rttSeconds?: number;
  answeredAt?: number;
  /** When the first probe was sent of those that were lost since the last answer. */
  silentSince?: number;
};

export type Probe = { token: number; target: Target };

export type Rounds = {
  /** What is known of targets that stay is kept. */
  aim(targets: readonly Target[]): void;
  /** Those to be sent now. @param roundMs in which each target has its turn, where the rate allows. */
  due(nowMs: number, roundMs: number): Probe[];
  /** @returns whose answer it is; undefined for one that is not waited for. */
  answered(token: number, seconds: number, nowMs: number): Reach | undefined;
  /** Counts those as lost that were not answered in time. */
  expire(nowMs: number): void;
  readonly reaches: readonly Reach[];
  /** Those of them of whose probes so many were lost in a row that it is no accident. */
  readonly silent: readonly Reach[];
};

export const PROBES_PER_SECOND = 50;
/** Milliseconds for an answer. */
const PATIENCE_MS = 1000;
/** Of probes lost in a row. */
const SILENCE = 3;
/** A node that joins has its record before its network: so long a path that never answered is none of its problems. */
export const JOINING_MS = 30_000;

type State = Reach & { lostInRow: number; waiting: boolean; firstAt?: number };

/** @param chance 0 … 1: two agents, or two lives of one, do not take each other's answers. */
export function createRounds(chance: number = Math.random()): Rounds {
  let states = new Map<string, State>();
  let order: State[] = [];
  let suspects: State[] = [];
  let at = 0;
  let credit = 1;
  let before: number | undefined;
  let token = Math.floor(chance * 2 ** 32);
  const sent = new Map<number, { state: State; atMs: number }>();
  const silent = new Set<State>();
  /** Those that never answered, and may be joining. */
  const joining = new Set<State>();

  const lose = (state: State, atMs: number) => {
    state.waiting = false;
    state.lost++;
    state.lostInRow++;
    state.silentSince ??= atMs;
    if (states.get(keyOf(state.target)) !== state) return;
    if (state.lostInRow < SILENCE) suspects.push(state);
    else if (state.answeredAt !== undefined) silent.add(state);
    else joining.add(state);
  };
  const send = (state: State, nowMs: number): Probe => {
    token = (token + 1) >>> 0;
    state.sent++;
    state.waiting = true;
    state.firstAt ??= nowMs;
    sent.set(token, { state, atMs: nowMs });
    return { token, target: state.target };
  };

  return {
    aim: (targets) => {
      const next = new Map<string, State>();
      for (const target of targets) {
        const key = keyOf(target);
        const known = states.get(key);
        if (known !== undefined) known.target = target;
        next.set(key, known ?? newState(target));
      }
      states = next;
      order = [...next.values()];
      const stays = (state: State) => next.get(keyOf(state.target)) === state;
      suspects = suspects.filter(stays);
      for (const state of silent) if (!stays(state)) silent.delete(state);
      for (const state of joining) if (!stays(state)) joining.delete(state);
    },
    due: (nowMs, roundMs) => {
      const perMs = Math.min(order.length / roundMs, PROBES_PER_SECOND / 1000);
      // What a long pause left unsent is not made up for.
      const elapsed = Math.min(Math.max(0, nowMs - (before ?? nowMs)), 1000);
      const most = Math.max(1, Math.floor((PROBES_PER_SECOND * elapsed) / 1000));
      before = nowMs;
      credit = Math.min(credit + elapsed * perMs, Math.max(1, 1000 * perMs));
      const again = suspects.splice(0, most).filter(({ waiting }) => !waiting);
      const probes = again.map((state) => send(state, nowMs));
      for (let turns = 0; credit >= 1 && probes.length < most && turns < order.length; turns++) {
        const state = order[at++ % order.length]!;
        if (state.waiting) continue;
        credit--;
        probes.push(send(state, nowMs));
      }
      at %= Math.max(1, order.length);
      return probes;
    },
    answered: (answered, seconds, nowMs) => {
      const probe = sent.get(answered);
      if (probe === undefined) return undefined;
      sent.delete(answered);
      const { state } = probe;
      Object.assign(state, { waiting: false, lostInRow: 0, answeredAt: nowMs });
      delete state.silentSince;
      silent.delete(state);
      joining.delete(state);
      // A clock that was set meanwhile says nothing about the path.
      if (seconds >= 0 && seconds * 1000 <= 2 * PATIENCE_MS) state.rttSeconds = seconds;
      return state;
    },
    expire: (nowMs) => {
      // In the order in which they were sent.
      for (const [old, { state, atMs }] of sent) {
        if (nowMs - atMs < PATIENCE_MS) break;
        sent.delete(old);
        lose(state, atMs);
      }
      for (const state of joining) {
        if (nowMs - (state.firstAt ?? nowMs) < JOINING_MS) continue;
        joining.delete(state);
        silent.add(state);
      }
    },
    get reaches() {
      return order;
    },
    get silent() {
      return [...silent];
    },
  };
}

/** Another address, or another family, is another target; another path to it is not. */
function keyOf({ peer, address }: Target): string {
  return `${peer} ${address}`;
}

function newState(target: Target): State {
  return { target, sent: 0, lost: 0, lostInRow: 0, waiting: false };
}
