/** Takes every trace of Fairlead from a node: what carries its marks in the kernel, and its own folders. */
import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { keptDeletions } from '../../agent/attach/pending-deletions.ts';
import { readOwnState } from '../../agent/kernel/owned.ts';
import { type Changed, settingsToRestore } from '../../agent/settings/sysctl.ts';
import type { Cidr } from '../../base/ip/cidr.ts';
import { TABLE } from '../../datapath/nftables/node-table.ts';
import { POLICY_TABLE } from '../../datapath/nftables/policy/render.ts';
import { SERVICE_TABLES } from '../../datapath/nftables/service/objects.ts';
import { describeOperation } from '../../edge/netlink/codec/operation.ts';
import type { Kernel, Operation } from '../../edge/netlink/kernel.ts';
import type { Link } from '../../edge/netlink/objects.ts';
import { applyOperations } from '../../edge/netlink/state/apply.ts';
import { diffStates } from '../../edge/netlink/state/diff.ts';
import { EMPTY_STATE } from '../../edge/netlink/state/state.ts';
import type { Nftables, TableName } from '../../edge/nftables/nft.ts';
import type { Sysctls } from '../../edge/sysctl/sysctls.ts';
import {
  ATTACHMENT_GROUP,
  type Attachment,
  DELETING_GROUP,
  parseRecord,
  SHAPER_GROUP,
} from '../../plan/pod/attachment.ts';

export type Traces = {
  operations: Operation[];
  /** Pods that are attached now and would lose their network. */
  pods: number;
  tables: TableName[];
  /** Settings of the node that are to be again what they were. */
  settings: Changed[];
  folders: OwnFolder[];
  files: string[];
};

/** A folder of Fairlead's, and what in it is: a folder that is shared keeps the rest. */
export type OwnFolder = { path: string; names: readonly string[] };

export type CleanupPlace = {
  kernel: Kernel;
  nftables: Nftables;
  podNetwork: readonly Cidr[];
  /** Where the former values of settings are kept. */
  stateDirectory: string;
  /** Where they are written. */
  sysctls: Sysctls;
  folders: readonly OwnFolder[];
  /** Of the container runtime and the host. */
  files: readonly string[];
};

/** What there is to remove, whichever backend made it. */
export async function findTraces({
  kernel,
  nftables,
  podNetwork,
  sysctls,
  stateDirectory,
  folders,
  files,
}: CleanupPlace): Promise<Traces> {
  const links = kernel.links();
  const own = readOwnState(kernel, links, podNetwork);
  const ofPods = links.filter(({ group }) => group === ATTACHMENT_GROUP || group === DELETING_GROUP);
  // Shapers are links of the state; what lies on a pod's veth goes with it.
  const isElsewhere = ({ linkIndex }: { linkIndex?: number }) =>
    !ofPods.some(({ index }) => index === linkIndex);
  const state = {
    ...own,
    routes: own.routes.filter(isElsewhere),
    neighbors: own.neighbors.filter(isElsewhere),
    links: own.links.filter(({ group }) => group !== SHAPER_GROUP),
  };
  const shapers = links.filter(({ group }) => group === SHAPER_GROUP);
  return {
    operations: [
      ...diffStates(EMPTY_STATE, state),
      ...[...ofPods, ...shapers].map(({ index }): Operation => ({ op: 'link.delete', index })),
    ],
    pods: attachedOf(ofPods, keptDeletions(stateDirectory)).length,
    tables: await presentTables(nftables),
    settings: settingsToRestore(stateDirectory, sysctls),
    folders: folders.filter(({ path }) => existsSync(path)),
    files: files.filter((file) => existsSync(file)),
  };
}

/**
 * Removes it all, and goes on over what fails.
 * @param tell one line for each thing that was removed.
 * @returns what could not be removed, one sentence each.
 */
export async function removeTraces(
  { operations, tables, settings, folders, files }: Traces,
  { kernel, nftables, sysctls }: CleanupPlace,
  tell: (line: string) => void,
): Promise<string[]> {
  const problems: string[] = [];
  /** @param remove returns what came of it where that is not the usual. */
  const attempt = async (what: string, remove: () => unknown) => {
    try {
      const outcome = await remove();
      tell(typeof outcome === 'string' ? outcome : what);
    } catch (error) {
      problems.push(`${what}: ${String(error)}`);
    }
  };
  // First, so that no runtime begins a pod meanwhile.
  for (const file of files) await attempt(`file ${file}`, () => rmSync(file));
  const { failures } = applyOperations(kernel, operations);
  const refused = new Set(failures.map(({ operation }) => operation));
  for (const operation of operations) if (!refused.has(operation)) tell(describeOperation(operation));
  problems.push(...failures.map(({ error }) => error.message));
  for (const table of tables)
    await attempt(`nftables table ${table.family} ${table.name}`, () => nftables.remove(table));
  for (const setting of settings)
    await attempt(describeSetting(setting), () => sysctls.write({ name: setting.name, value: setting.was }));
  for (const { path, names } of folders)
    await attempt(`folder ${path}`, () => {
      const left = removeFolder(path, names);
      return left.length === 0
        ? undefined
        : `folder ${path} stays with what is not Fairlead's: ${left.join(', ')}`;
    });
  return problems;
}

/** `net.ipv4.ip_forward is 0 again`. */
export function describeSetting({ name, was }: Changed): string {
  return `${name} is ${was} again`;
}

/**
 * In a container the folder itself is a mount of the host's, and stays, empty.
 * @returns what stays because it is not ours, and the folder with it.
 */
function removeFolder(folder: string, names: readonly string[]): string[] {
  for (const name of names.flatMap((own) => [own, `${own}.new`]))
    rmSync(join(folder, name), { recursive: true, force: true });
  const left = readdirSync(folder).toSorted();
  if (left.length > 0) return left;
  try {
    rmdirSync(folder);
  } catch (error) {
    if (!['EBUSY', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
  return [];
}

const SERVICES = SERVICE_TABLES.map((name): TableName => ({ family: 'inet', name }));

async function presentTables(nftables: Nftables): Promise<TableName[]> {
  const found = await Promise.all(
    [TABLE, POLICY_TABLE, ...SERVICES].map(async (table) =>
      (await nftables.read(table)) === undefined ? [] : [table],
    ),
  );
  return found.flat();
}

/** What the runtime has let go, without an agent to do it, is no pod any more. */
function attachedOf(links: readonly Link[], gone: ReadonlySet<string>): Attachment[] {
  return links.flatMap(({ group, alias }) => {
    const record = group === ATTACHMENT_GROUP && alias !== undefined ? parseRecord(alias) : undefined;
    return record === undefined || gone.has(`${record.containerId} ${record.ifname}`) ? [] : [record];
  });
}
