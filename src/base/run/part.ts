/** The one shape of what an agent brings about: a capability is a planner, a part, and a line in the list of parts. */

/** What a `set` came to. */
export type Reached = {
  /** What is wrong, one sentence each with cause and cure; empty: all is as it shall be. */
  problems: readonly string[];
  /** Those of them that are tried again soon; of the others a person is asked, and the next resync looks. */
  retried: readonly string[];
};

/** Brings one thing about. Equal states cost nothing. */
export type Part<State, Aspect extends string = never> = {
  /**
   * @param latest asked when it is this part's turn, and again for each aspect: what was derived before may lack what an
   *   ADD opened meanwhile.
   * @param aspects those that may be other than before; all where absent.
   */
  set(latest: () => State, aspects?: readonly Aspect[]): Promise<Reached>;
  /** Something else may have changed it: the next `set` compares with the kernel. */
  invalidate(aspects?: readonly Aspect[]): void;
  /** Leaves no trace; absent where what is left is taken away by other means, which its file names. */
  cleanup?(): Promise<void>;
};

export const ALL_REACHED: Reached = { problems: [], retried: [] };

/** For problems that are all tried again. */
export function retried(problems: readonly string[]): Reached {
  return { problems, retried: problems };
}
