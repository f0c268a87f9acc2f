/** Chains of others through which forwarded packets go, and which of them refuse what they do not know, or all. */

export type ClosedChain = {
  /** As `inet firewalld`. */
  table: string;
  chain: string;
  /** What refuses: `policy drop`, or the rule as it is written. */
  by: string;
  /** Whether no rule before it accepts a connection that is new: then nothing of pods passes. */
  refusesAll: boolean;
};

type Chain = { table: string; name: string; hook?: string; policy?: string; rules: string[] };

/** Tables of Fairlead's, whose verdicts are policies'. */
const OWN = /^\S+ fairlead(-|$)/;
/** Statements that decide nothing. */
const IDLE =
  /^(counter( packets \d+ bytes \d+)?|log( (prefix|level|flags|group|snaplen|queue-threshold) ("[^"]*"|\S+))*)\s*/;
const VERDICT =
  /(?:^| )(drop|reject(?: with .*)?|xt target "(?:DROP|REJECT)"|accept|return|queue.*|(?:jump|goto) \S+|\S+ vmap .*)$/;
/** Conditions under which a pod's first packet to another never is. */
const NEVER_NEW = /^(iifname "lo"|ct state (established|related|invalid|,|\{|\}|\s)+|ct status dnat) /;

/** @param listing of whole tables, as nft prints them: rules of iptables-nft are among them. */
export function closedChains(listing: string): ClosedChain[] {
  const chains = readChains(listing);
  return chains
    .filter(({ table, hook }) => hook === 'forward' && !OWN.test(table))
    .flatMap((chain): ClosedChain[] => {
      const { by, mayAccept } = walk(chain, chains, new Set());
      const closing =
        by ??
        (chain.policy === 'drop' ? { table: chain.table, chain: chain.name, by: 'policy drop' } : undefined);
      return closing === undefined ? [] : [{ ...closing, refusesAll: !mayAccept }];
    });
}

/** @param listing as `iptables-legacy-save -t filter` prints it. */
export function closedLegacyChains(listing: string, family: 4 | 6): ClosedChain[] {
  const [ip, iptables] = family === 4 ? ['ip', 'iptables'] : ['ip6', 'ip6tables'];
  const rules = listing.split('\n').filter((line) => line.startsWith('-A FORWARD '));
  const last = rules.findLast((line) => /^-A FORWARD -j (DROP|REJECT)\b/.test(line));
  const by = last ?? (/^:FORWARD DROP\b/m.test(listing) ? 'policy DROP' : undefined);
  const refusesAll = rules.every((rule) => / -j (DROP|REJECT|LOG)\b/.test(rule));
  return by === undefined
    ? []
    : [{ table: `${ip} filter of legacy ${iptables}`, chain: 'FORWARD', by, refusesAll }];
}

export function describeClosed({ table, chain, by }: ClosedChain): string {
  return `chain ${chain} of table ${table} (${by})`;
}

/** What a rule counted is none of what it says. */
export function withoutCounts(rule: string): string {
  return rule.replace(/\bcounter packets \d+ bytes \d+ ?/g, '').trim();
}

type Walked = {
  /** The rule that refuses everything that comes to it. */
  by?: Omit<ClosedChain, 'refusesAll'>;
  /** Whether some rule before it may accept a new connection. */
  mayAccept: boolean;
};

function walk({ table, name, rules }: Chain, all: readonly Chain[], seen: Set<string>): Walked {
  seen.add(name);
  let mayAccept = false;
  for (const rule of rules) {
    const { verdict, isConditional, isNeverNew } = readRule(rule);
    if (verdict === '' || isNeverNew) continue;
    if (isRefusal(verdict)) {
      if (!isConditional) return { by: { table, chain: name, by: withoutCounts(rule) }, mayAccept };
      continue;
    }
    const [, word, target] = /^(jump|goto) (\S+)/.exec(verdict) ?? [];
    if (target === undefined) {
      // Accepted, left to the chain's policy, or to another table.
      mayAccept = true;
      if (!isConditional) return { mayAccept };
      continue;
    }
    const next = all.find((other) => other.table === table && other.name === target);
    const walked = next === undefined || seen.has(target) ? { mayAccept: false } : walk(next, all, seen);
    mayAccept ||= walked.mayAccept;
    if (!isConditional && walked.by !== undefined) return { ...walked, mayAccept };
    if (!isConditional && word === 'goto') return { mayAccept };
  }
  return { mayAccept };
}

function isRefusal(verdict: string): boolean {
  return /^(drop|reject|xt target)/.test(verdict);
}

function readRule(rule: string): { verdict: string; isConditional: boolean; isNeverNew: boolean } {
  let rest = rule.replace(/ comment "[^"]*"$/, '');
  for (let before = ''; before !== rest; rest = rest.replace(IDLE, '')) before = rest;
  const verdict = VERDICT.exec(rest)?.[1] ?? '';
  return {
    verdict,
    isConditional: verdict !== rest || verdict.includes(' vmap '),
    isNeverNew: NEVER_NEW.test(rest),
  };
}

function readChains(listing: string): Chain[] {
  const chains: Chain[] = [];
  let table = '';
  let chain: Chain | undefined;
  for (const line of listing.split('\n')) {
    const text = line.trim();
    table = /^table (\S+ \S+) \{/.exec(line)?.[1] ?? table;
    const name = /^\tchain (\S+) \{/.exec(line)?.[1];
    if (name !== undefined) chains.push((chain = { table, name, rules: [] }));
    else if (line === '\t}') chain = undefined;
    else if (chain !== undefined && text.startsWith('type ')) {
      const [, hook] = / hook (\S+) /.exec(text) ?? [];
      const [, policy] = / policy (\S+);/.exec(text) ?? [];
      Object.assign(chain, {
        ...(hook === undefined ? {} : { hook }),
        ...(policy === undefined ? {} : { policy }),
      });
    } else if (chain !== undefined && text !== '') chain.rules.push(text);
  }
  return chains;
}
