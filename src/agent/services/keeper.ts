/** The table of services in the kernel: which of the two it is, what it holds, and how it gets to what is wanted. */
import { runSliced } from '../../base/run/sliced.ts';
import type { ServiceTableName, ServiceTableOptions } from '../../datapath/nftables/service/objects.ts';
import { SERVICE_TABLES } from '../../datapath/nftables/service/objects.ts';
import { createServiceRenderer, type ServiceRenderer } from '../../datapath/nftables/service/render.ts';
import {
  createSealer,
  type Seal,
  sealed,
  sealLoad,
  sealUpdate,
} from '../../datapath/nftables/service/seal.ts';
import { loadServices, updateServices } from '../../datapath/nftables/service/write.ts';
import { openServiceTables, type ServiceTables } from '../../datapath/nftables/services.ts';
import type { Nftables } from '../../edge/nftables/nft.ts';
import type { Lingering } from '../../plan/service/linger.ts';
import type { ServiceTable } from '../../plan/service/table.ts';

/** What was done: nothing, where the kernel's table is as it shall be already. */
export type Written = 'nothing' | 'changes' | 'all';

type Held = {
  name: ServiceTableName;
  seal: Seal;
  lingering: string;
  options: string;
  /** Absent where an earlier agent wrote it: any change loads it anew. */
  renderer?: ServiceRenderer;
};

export class ServiceKeeper {
  readonly #nftables: Nftables;
  readonly #tables: ServiceTables;
  readonly #seal = createSealer();
  /** Absent where it is not known. */
  #held: Held | undefined;
  #isRemoved = false;
  /** Until the first one: what an earlier agent left says by its seal whether it is good. */
  #isFirst = true;
  #doubts = 0;

  constructor(nftables: Nftables) {
    this.#nftables = nftables;
    this.#tables = openServiceTables(nftables);
  }

  /** Its name, where there is one. */
  get table(): ServiceTableName | undefined {
    return this.#held?.name;
  }

  /** It was changed by others, or it was not reached: the next one is loaded whole. */
  distrust(): void {
    this.#doubts++;
    this.#held = undefined;
    this.#isRemoved = false;
  }

  /**
   * @param lingering called where the table is loaded whole: endpoints that have connections and may be in no list.
   * @throws FairleadError when the kernel refuses; packets meet what they met before, or part of a change.
   */
  async ensure(
    table: ServiceTable,
    options: ServiceTableOptions,
    lingering: readonly Lingering[],
  ): Promise<Written> {
    const doubts = this.#doubts;
    const seal = this.#seal(table, options);
    const lingers = JSON.stringify(lingering);
    const settings = JSON.stringify(options);
    if (this.#isFirst) this.#held = this.#inherit(seal, settings, lingers);
    this.#isFirst = false;
    const held = this.#held;
    if (held?.seal === seal && held.lingering === lingers) return 'nothing';
    this.#held = undefined;
    this.#isRemoved = false;
    const isChange = held?.renderer !== undefined && held.options === settings;
    const renderer = isChange ? held.renderer! : createServiceRenderer(options);
    const change = await runSliced(renderer.render({ table, lingering }));
    const other = SERVICE_TABLES.find((name) => name !== held?.name) ?? SERVICE_TABLES[0];
    const name = isChange ? held.name : other;
    if (isChange) {
      const update = updateServices(change, name);
      await this.#tables.update(name, held.seal === seal ? update : sealUpdate(update, held.seal, seal));
    } else await this.#tables.load(name, sealLoad(loadServices(renderer, change, name), seal));
    change.done();
    // What was changed meanwhile may be what has just been written.
    if (this.#doubts === doubts) this.#held = { name, seal, lingering: lingers, options: settings, renderer };
    return isChange ? 'changes' : 'all';
  }

  async remove(): Promise<void> {
    if (this.#isRemoved) return;
    await this.#tables.remove();
    this.#held = undefined;
    this.#isFirst = false;
    this.#isRemoved = true;
  }

  /** What an earlier agent left is ours where it is what is wanted. */
  #inherit(seal: Seal, options: string, lingering: string): Held | undefined {
    const name = SERVICE_TABLES.find((candidate) =>
      this.#nftables.holds({ family: 'inet', name: candidate }, [sealed(seal)]),
    );
    return name === undefined ? undefined : { name, seal, options, lingering };
  }
}
