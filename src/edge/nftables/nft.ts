/** Whole tables through nft(8), in the namespace of this process. */
import { spawn } from 'node:child_process';
import { FairleadError } from '../../base/errors/errors.ts';
import { runSliced } from '../../base/run/sliced.ts';
import { NLMSG_ERROR, readError, readMessages } from '../netlink/codec/message.ts';
import type { KeptWatch } from '../netlink/kept-watch.ts';
import type { NetworkNamespace } from '../netlink/namespace.ts';
import { NETLINK_NETFILTER, NetlinkSocket } from '../netlink/socket.ts';
import { encodeOperations } from './batch/batch.ts';
import { type Count, listCounters } from './batch/counters.ts';
import { formatOperations } from './batch/operations.ts';
import { type ElementChange, encodeElementChanges, encodeElementQuestions } from './elements.ts';
import type { Table } from './objects.ts';
import { deleteTable, replaceTable } from './transaction.ts';
import { amendTable, type Inventory, refillTable, type Transition } from './transition.ts';
import { askGeneration, type RulesetWatch, watchRulesets } from './watch.ts';

export type TableName = Pick<Table, 'family' | 'name'>;

export type Nftables = {
  /**
   * Watches rulesets of the namespace, once at a time. What this object itself changes is no news.
   * @param onChange as of {@link watchRulesets}.
   */
  watch(onChange: (tables?: ReadonlySet<string>) => void, onProblem?: (problem: string) => void): KeptWatch;
  /** Makes the kernel's table this one, whatever it is; packets meet the one or the other. */
  replace(table: Table): Promise<void>;
  /**
   * From one table to another by what differs alone: the rest is not touched, and counts on.
   * @throws FairleadError when the kernel's table is not what it is taken for: then packets meet what they met before.
   */
  amend(before: Table, after: Table): Promise<void>;
  /** What its counters have counted, by name; none where there is no such table. */
  counts(table: TableName): Promise<ReadonlyMap<string, Count>>;
  remove(table: TableName): Promise<void>;
  /**
   * Adds and deletes elements of its sets, all of them or none.
   * @throws FairleadError when one of them cannot be; an added one that is there is fine, an absent one is not.
   */
  change(table: TableName, changes: readonly ElementChange[]): void;
  /**
   * One transaction in the words of nft(8); nothing for an empty text.
   * @throws FairleadError when it is refused: then all is as before.
   */
  commit(text: string): Promise<void>;
  /**
   * One transaction as a netlink batch, off the event loop: thousands of elements take the kernel milliseconds.
   * @param what is in it, for the message. @throws as {@link Nftables.commit}.
   */
  send(messages: Buffer, what: string): Promise<void>;
  /** Whether all of these elements are there; their values are not compared. */
  holds(table: TableName, elements: readonly Omit<ElementChange, 'change'>[]): boolean;
  /** The table as the kernel reports it, for comparing; undefined when there is none. */
  read(table: TableName): Promise<string | undefined>;
  /** Every chain that the kernel calls, of all programs. */
  baseChains(): Promise<ListedChain[]>;
  /** Every chain of the namespace, of all programs, as `ip nat KUBE-SERVICES`. */
  chains(): Promise<string[]>;
  /** Tables of others that translate addresses in this namespace, as `ip nat`. */
  foreignNat(own: TableName): Promise<string[]>;
  [Symbol.dispose](): void;
};

export type ListedChain = { table: string; chain: string; hook: string; policy: string };

/** Milliseconds that one nft may take: loading the largest table takes seconds, on a node that has much else to do. */
const PATIENCE_MS = 60_000;

/** @param namespace the process' own where absent; not to be disposed before elements are first changed or asked for. */
export function openNftables(namespace?: NetworkNamespace, patienceMs = PATIENCE_MS): Nftables {
  const command = namespace === undefined ? ['nft'] : ['nsenter', `--net=${namespace.path}`, 'nft'];
  // One socket, made when first needed and kept: closing one waits for the RCU grace period in which the kernel frees
  // what was deleted (net/netfilter/nf_tables_api.c, nft_rcv_nl_event), 15–30 ms on the event loop.
  let kept: NetlinkSocket | undefined;
  const openSocket = () => {
    kept ??= new NetlinkSocket(NETLINK_NETFILTER, namespace);
    return kept;
  };
  /** Its answers must not mix with those of the other one. */
  let bulk: NetlinkSocket | undefined;
  let watching: RulesetWatch | undefined;
  const generation = () => askGeneration(openSocket());
  const nft = (args: readonly string[]) => run(command, args, '', patienceMs).output;
  /** One transaction; the kernel knows a child by the socket that it opens, whose port is its process id. */
  const commitOne = async (text: string) => {
    const own = watching?.ledger.begin(generation());
    let committed = false;
    try {
      const { child, output } = run(command, ['-f', '-'], text, patienceMs);
      if (child.pid !== undefined) own?.port(child.pid);
      await output;
      committed = true;
    } finally {
      own?.end(committed ? generation() : undefined);
    }
  };
  /** On the socket; what is refused is not done at all. */
  const send = (batch: Buffer, refused: (errno: string) => FairleadError) => {
    const socket = openSocket();
    const own = watching?.ledger.begin(generation());
    own?.port(socket.portId);
    let replies: Buffer;
    try {
      ({ replies } = socket.transact(batch));
    } finally {
      own?.end(generation());
    }
    for (const message of readMessages(replies)) {
      const refusal = message.type === NLMSG_ERROR ? readError(message) : undefined;
      if (refusal !== undefined) throw refused(refusal.errno);
    }
  };
  const commit = async (table: TableName, transactions: Transition) => {
    for (const operations of transactions) {
      const batch = encodeOperations(table, operations);
      if (batch === undefined) await commitOne(await runSliced(formatOperations(table, operations)));
      else
        send(
          batch,
          (errno) => new FairleadError('FL_NFT', `changes of table ${table.name} were refused: ${errno}`),
        );
    }
  };
  const inventory = async ({ family, name }: TableName): Promise<Inventory | undefined> => {
    try {
      return readInventory(await nft(['-j', '-t', 'list', 'table', family, name]));
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  };
  return {
    watch: (onChange, onProblem) => {
      const opened = watchRulesets(generation, onChange, namespace, onProblem);
      watching = opened;
      return {
        get problem() {
          return opened.problem;
        },
        [Symbol.dispose]: () => {
          watching = undefined;
          opened[Symbol.dispose]();
        },
      };
    },
    replace: async (table) => {
      try {
        await commit(table, await runSliced(refillTable(await inventory(table), table)));
      } catch {
        // What is of another kind under our names gives way at once.
        await commitOne(replaceTable(table));
      }
    },
    amend: async (before, after) => commit(after, await runSliced(amendTable(before, after))),
    counts: async (table) => listCounters(openSocket(), table),
    remove: (table) => commitOne(deleteTable(table)),
    change: (table, changes) =>
      send(encodeElementChanges(table, changes), (errno) => {
        const sets = [...new Set(changes.map(({ set }) => set.name))].join(', ');
        return new FairleadError(
          'FL_NFT',
          `elements of ${sets} in table ${table.name} were refused: ${errno}`,
        );
      }),
    commit: (text) => (text === '' ? Promise.resolve() : commitOne(text)),
    send: async (messages, what) => {
      bulk ??= new NetlinkSocket(NETLINK_NETFILTER, namespace);
      const own = watching?.ledger.begin(generation());
      own?.port(bulk.portId);
      let replies: Buffer;
      try {
        ({ replies } = await bulk.transactAsync(messages));
      } finally {
        own?.end(generation());
      }
      for (const message of readMessages(replies)) {
        const refusal = message.type === NLMSG_ERROR ? readError(message) : undefined;
        if (refusal !== undefined)
          throw new FairleadError('FL_NFT', `${what} were refused: ${refusal.errno}`);
      }
    },
    holds: (table, elements) => {
      const { replies } = openSocket().transact(encodeElementQuestions(table, elements));
      return [...readMessages(replies)].every(
        (message) => message.type !== NLMSG_ERROR || readError(message) === undefined,
      );
    },
    read: async ({ family, name }) => {
      try {
        return await nft(['--stateless', 'list', 'table', family, name]);
      } catch (error) {
        if (isAbsent(error)) return undefined;
        throw error;
      }
    },
    baseChains: async () => baseChains(await nft(['--stateless', 'list', 'chains'])),
    chains: async () => allChains(await nft(['--stateless', 'list', 'chains'])),
    foreignNat: async (own) => natTables(await nft(['--stateless', 'list', 'chains']), own),
    [Symbol.dispose]: () => {
      kept?.[Symbol.dispose]();
      bulk?.[Symbol.dispose]();
    },
  };
}

function isAbsent(error: unknown): boolean {
  return error instanceof FairleadError && /No such file or directory/.test(error.message);
}

type Named = { name: string };

/** From what `nft -j -t list table` prints (libnftables-json(5)). */
export function readInventory(listing: string): Inventory {
  const { nftables = [] } = JSON.parse(listing) as {
    nftables?: { counter?: Named; set?: Named; map?: Named; chain?: Named & { hook?: string } }[];
  };
  return {
    counters: nftables.flatMap(({ counter }) => counter?.name ?? []),
    sets: nftables.flatMap(({ set, map }): Inventory['sets'] => {
      if (set !== undefined) return [{ name: set.name }];
      return map === undefined ? [] : [{ name: map.name, value: 'verdict' }];
    }),
    chains: nftables.flatMap(({ chain }) =>
      chain === undefined ? [] : [{ name: chain.name, called: chain.hook !== undefined }],
    ),
  };
}

/** From what `nft list chains` prints. */
export function baseChains(listing: string): ListedChain[] {
  const found: ListedChain[] = [];
  let [table, chain] = ['', ''];
  for (const line of listing.split('\n')) {
    table = /^table (\S+ \S+) \{/.exec(line)?.[1] ?? table;
    chain = /^\s*chain (\S+) \{/.exec(line)?.[1] ?? chain;
    const [, hook, policy] = /^\s*type \S+ hook (\S+) .*policy (\S+);/.exec(line) ?? [];
    if (hook !== undefined && policy !== undefined) found.push({ table, chain, hook, policy });
  }
  return found;
}

/** From what `nft list chains` prints. */
export function allChains(listing: string): string[] {
  const found: string[] = [];
  let table = '';
  for (const line of listing.split('\n')) {
    table = /^table (\S+ \S+) \{/.exec(line)?.[1] ?? table;
    const chain = /^\s*chain (\S+) \{/.exec(line)?.[1];
    if (chain !== undefined) found.push(`${table} ${chain}`);
  }
  return found;
}

/** From what `nft list chains` prints: the tables with a chain of type nat. */
export function natTables(listing: string, { family, name }: TableName): string[] {
  const tables = new Set<string>();
  let table = '';
  for (const line of listing.split('\n')) {
    table = /^table (\S+ \S+) \{/.exec(line)?.[1] ?? table;
    if (/^\s*type nat hook /.test(line) && table !== `${family} ${name}`) tables.add(table);
  }
  return [...tables];
}

/** One that hangs would keep every other change of a table waiting, and say nothing. */
function run(command: readonly string[], args: readonly string[], input: string, patienceMs: number) {
  const [program = 'nft', ...before] = command;
  const child = spawn(program, [...before, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: patienceMs,
    killSignal: 'SIGKILL',
  });
  const output = new Promise<string>((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', (error: NodeJS.ErrnoException) => {
      const cure =
        error.code === 'ENOENT' ? `${program} is not installed; install the package nftables` : error.message;
      reject(new FairleadError('FL_NFT', `nft cannot be run: ${cure}`, { cause: error }));
    });
    // A child that ends before it has read everything says why on stderr.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    child.on('close', (status, signal) => {
      if (status === 0) return resolve(stdout);
      if (child.killed) {
        const reason = `nft ${args.join(' ')} did not end within ${patienceMs / 1000} s and was ended (${signal})`;
        return reject(new FairleadError('FL_NFT', `${reason}; look what holds nftables of this node`));
      }
      const said = stderr.trim().split('\n').slice(0, 3).join(' ');
      reject(new FairleadError('FL_NFT', `nft ${args.join(' ')} failed: ${said}`));
    });
  });
  return { child, output };
}
