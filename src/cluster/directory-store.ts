/**
 * The cluster's state in a directory that all nodes of one machine share: `nodes/NAME.json` is the record of a node,
 * `ranges/RANGE` names who claimed a range. Files are complete or not there: they are written aside and moved in.
 */
import {
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describeError, FairleadError } from '../base/errors/errors.ts';
import type { Cidr } from '../base/ip/cidr.ts';
import { type ClusterNode, parseNode } from '../plan/node/cluster-node.ts';
import type { ClusterState, ClusterStore } from './store.ts';

/** Milliseconds: writers often touch several files at once. */
const SETTLE_MS = 5;
/** Milliseconds after which the directory is read although nothing was notified. */
const POLL_MS = 10_000;

export function openDirectoryStore(directory: string): ClusterStore {
  const nodes = join(directory, 'nodes');
  try {
    makeDirectories(directory);
  } catch (error) {
    throw new FairleadError(
      'FL_CLUSTER_DIRECTORY',
      `cluster.directory: ${directory} cannot be used: ${describeError(error)}; name a directory that root can write`,
    );
  }
  const listeners = new Set<() => void>();
  let state = readState(nodes);
  let timer: NodeJS.Timeout | undefined;
  const look = () => {
    timer = undefined;
    const now = readState(nodes);
    if (JSON.stringify(now) === JSON.stringify(state)) return;
    state = now;
    for (const listener of listeners) listener();
  };
  const lookSoon = () => {
    timer ??= setTimeout(look, SETTLE_MS);
  };
  const watcher = watch(nodes, { persistent: false }, lookSoon);
  watcher.on('error', lookSoon);
  const poll = setInterval(look, POLL_MS);
  poll.unref();

  return {
    get state() {
      return state;
    },
    watch: (onChange) => {
      listeners.add(onChange);
      return { [Symbol.dispose]: () => void listeners.delete(onChange) };
    },
    claimRanges: async (node, ranges) => {
      const lost = ranges.find((range) => !claim(directory, node, range));
      if (lost !== undefined) {
        for (const range of ranges.slice(0, ranges.indexOf(lost))) rmSync(claimPath(directory, range));
        return false;
      }
      writeNode(directory, { ...node, podCidrs: [...node.podCidrs, ...ranges] });
      look();
      return true;
    },
    close: () => {
      watcher.close();
      clearInterval(poll);
      clearTimeout(timer);
    },
  };
}

/** Creates or replaces the record of a node. */
export function writeNode(directory: string, node: ClusterNode): void {
  makeDirectories(directory);
  writeAside(join(directory, 'nodes', `${node.name}.json`), `${JSON.stringify(node, null, 2)}\n`);
}

/** Takes the record of a node away, and with it its claims. */
export function removeNode(directory: string, node: Pick<ClusterNode, 'name' | 'uid'>): void {
  makeDirectories(directory);
  rmSync(join(directory, 'nodes', `${node.name}.json`), { force: true });
  for (const file of readdirSync(join(directory, 'ranges'))) {
    const path = join(directory, 'ranges', file);
    if (readText(path) === node.uid) rmSync(path, { force: true });
  }
}

/** A hard link exists or it does not: the file system decides who was first, with the owner's name already in it. */
function claim(directory: string, node: ClusterNode, range: Cidr): boolean {
  const path = claimPath(directory, range);
  const aside = `${path}.${process.pid}.new`;
  writeFileSync(aside, node.uid, { mode: 0o600 });
  try {
    linkSync(aside, path);
    return true;
  } catch {
    // The node itself may have claimed it before a crash.
    return readText(path) === node.uid;
  } finally {
    rmSync(aside, { force: true });
  }
}

function claimPath(directory: string, range: Cidr): string {
  return join(directory, 'ranges', range.replace('/', '_'));
}

function makeDirectories(directory: string): void {
  for (const name of ['nodes', 'ranges']) mkdirSync(join(directory, name), { recursive: true, mode: 0o700 });
}

function writeAside(path: string, text: string): void {
  const aside = `${path}.${process.pid}.new`;
  writeFileSync(aside, text, { mode: 0o600 });
  renameSync(aside, path);
}

function readState(directory: string): ClusterState {
  const nodes: ClusterNode[] = [];
  const problems: string[] = [];
  let files: string[];
  try {
    files = readdirSync(directory).filter((file) => file.endsWith('.json'));
  } catch (error) {
    return { nodes, problems: [`the records of the nodes cannot be read: ${describeError(error)}`] };
  }
  for (const file of files.toSorted()) {
    const node = readNode(join(directory, file));
    if ('problem' in node) problems.push(`record ${file}: ${node.problem}; it is ignored until it is mended`);
    else if (nodes.some(({ uid }) => uid === node.uid))
      problems.push(`record ${file}: has the uid of another node`);
    else nodes.push(node);
  }
  return { nodes, problems };
}

function readNode(path: string): ClusterNode | { problem: string } {
  try {
    return parseNode(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    return { problem: describeError(error) };
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
