/** Rendered services in the kernel. */
import type { Nftables } from '../../edge/nftables/nft.ts';
import { encodeStage } from './service/encode.ts';
import { encodeNotes, type NoteRule } from './service/notes.ts';
import type { ElementStage, ServiceTableName } from './service/objects.ts';
import { removeServices, type ServiceLoad, type ServiceUpdate } from './service/write.ts';

export type ServiceTables = {
  /** Packets meet the services of before until they meet these, and all of these. */
  load(name: ServiceTableName, load: ServiceLoad): Promise<void>;
  /** @param name of the table that was loaded last. */
  update(name: ServiceTableName, update: ServiceUpdate): Promise<void>;
  remove(): Promise<void>;
};

export function openServiceTables(nftables: Pick<Nftables, 'commit' | 'send'>): ServiceTables {
  const put = async (name: ServiceTableName, stages: readonly ElementStage[]) => {
    for (const stage of stages) {
      const sets = [...new Set(stage.map(({ set }) => set.name))].join(', ');
      await nftables.send(encodeStage(name, stage), `elements of ${sets} in table ${name}`);
    }
  };
  const note = async (name: ServiceTableName, rules: readonly NoteRule[]) => {
    if (rules.length > 0) await nftables.send(encodeNotes(name, rules), `rules of affinity in table ${name}`);
  };
  return {
    load: async (name, { prepare, notes, fill, fillText, activate, seal = [] }) => {
      await nftables.commit(prepare);
      await note(name, notes);
      await put(name, fill);
      await nftables.commit(fillText);
      await nftables.commit(activate);
      await put(name, seal);
    },
    update: async (name, { chains = '', notes, stages, text = '', breaking = [], sealing = [] }) => {
      await put(name, breaking);
      await nftables.commit(chains);
      await note(name, notes);
      await put(name, stages);
      await nftables.commit(text);
      await put(name, sealing);
    },
    remove: () => nftables.commit(removeServices()),
  };
}
