/** What an agent says of itself to those who ask the cluster. Nothing is decided from it. */
import type { NodeReport } from '../store.ts';

export type AgentReport = NodeReport & {
  version: string;
  /** Digest of the policies in force; absent while none are known. */
  policies?: string;
  /** Ranges of its pods. */
  ranges: readonly string[];
  /** Of pods, in bytes; absent while there are none. */
  mtu?: number;
  /** Absent while it is not known. */
  pods?: number;
  /** How many paths to other nodes there are of each mode. */
  paths: Readonly<Record<string, number>>;
  /** Paths to other nodes that do not answer, and some of these nodes' names. */
  silent: { count: number; peers: readonly string[] };
  /** The last thing that went wrong, though it may be mended. `at` is RFC 3339. */
  lastError?: { at: string; text: string };
};

/** Characters of one text, and items of one list: the record of one node must stay small in a cluster of 5,000. */
const LONGEST_TEXT = 300;
const MOST_ITEMS = 5;

/**
 * What is told as soon as it changes. All else goes along: if it were news, every pod that starts, and every node that
 * joins, would make the whole cluster write.
 */
export function newsOf({ version, ready, message, problems, policies, ranges, mtu }: AgentReport): string {
  return JSON.stringify([version, ready, message, problems, policies, ranges, mtu]);
}

export function shortened(report: AgentReport): AgentReport {
  const { message, problems, ranges, silent, lastError } = report;
  return {
    ...report,
    message: cut(message),
    problems: few(problems),
    ranges: ranges.slice(0, MOST_ITEMS),
    silent: { ...silent, peers: silent.peers.slice(0, MOST_ITEMS) },
    ...(lastError === undefined ? {} : { lastError: { ...lastError, text: cut(lastError.text) } }),
  };
}

function few(problems: readonly string[]): string[] {
  const shown = problems.slice(0, MOST_ITEMS).map(cut);
  const more = problems.length - shown.length;
  return more > 0 ? [...shown, `${more} more problems; 'fairlead status' on the node lists them`] : shown;
}

function cut(text: string): string {
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text;
}
