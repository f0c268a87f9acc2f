/** What an examination found: fine, or with cause and cure. */

export type Finding = {
  /** What was examined, in a few words. */
  what: string;
  verdict: 'fine' | 'doubtful' | 'broken';
  /** What was seen; where it is not fine, the cause. */
  seen: string;
  /** What to do; absent where all is fine. */
  cure?: string;
};

export function fine(what: string, seen: string): Finding {
  return { what, verdict: 'fine', seen };
}

export function broken(what: string, seen: string, cure: string): Finding {
  return { what, verdict: 'broken', seen, cure };
}

export function doubtful(what: string, seen: string, cure: string): Finding {
  return { what, verdict: 'doubtful', seen, cure };
}

const MARKS = { fine: ' ok ', doubtful: 'look', broken: 'FAIL' } as const;

export function formatFinding({ what, verdict, seen, cure }: Finding): string {
  const head = `${MARKS[verdict]}  ${what}: ${seen}`;
  return cure === undefined ? head : `${head}\n      cure: ${cure}`;
}
