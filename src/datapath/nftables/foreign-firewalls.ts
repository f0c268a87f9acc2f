/** Firewalls of others that let nothing of pods pass. Looked at when it is asked for, after a ruleset has changed. */
import { describeError } from '../../base/errors/errors.ts';
import { closedChains, describeClosed } from '../../edge/nftables/forward-chains.ts';
import type { Nftables, TableName } from '../../edge/nftables/nft.ts';

export type ForeignFirewalls = {
  /** A ruleset of this namespace was changed. */
  invalidate(): void;
  /** One sentence each. */
  problems(): Promise<readonly string[]>;
};

export function lookAtFirewalls(nftables: Pick<Nftables, 'baseChains' | 'read'>): ForeignFirewalls {
  let known: Promise<readonly string[]> | undefined;
  const read = async () => {
    const chains = await nftables.baseChains();
    const tables = new Set(chains.filter(({ hook }) => hook === 'forward').map(({ table }) => table));
    const listings = await Promise.all([...tables].map((table) => nftables.read(nameOf(table))));
    return closedChains(listings.join('\n'))
      .filter(({ refusesAll }) => refusesAll)
      .map(
        (closed) =>
          `${describeClosed(closed)} refuses all packets that are forwarded, those of pods among them; ` +
          'accept the pod network there, as source and as destination; fairlead doctor tries it',
      );
  };
  return {
    invalidate: () => (known = undefined),
    problems: () => {
      const reading = (known ??= read());
      return reading.catch((error: unknown) => {
        // It is tried again when it is asked for again.
        if (known === reading) known = undefined;
        return [`firewalls of others could not be read: ${describeError(error)}`];
      });
    },
  };
}

function nameOf(table: string): TableName {
  const [family, name = ''] = table.split(' ');
  return { family: family as TableName['family'], name };
}
