/**
 * Keeps the runtime's network list while the agent can take pods. Nothing is written before: a kubelet that finds a list
 * calls its node ready. What is there stays when the agent stops, fails or is replaced, since running pods keep their
 * network and the plugin says by itself (STATUS) whether new ones can start.
 */
import { type FSWatcher, readdirSync, readFileSync, watch } from 'node:fs';
import type { Configuration } from '../../base/config/configuration.ts';
import { defaultValue } from '../../base/config/keys.ts';
import { describeError, reasonOf } from '../../base/errors/errors.ts';
import { removeDurably, writeAtomically } from '../../base/files/atomic-file.ts';
import type { Logger } from '../../base/log/logger.ts';
import { decideList, runtimeLists } from '../../edge/cni/network-list.ts';
import { listPath, uninstallFromRuntime } from '../../edge/runtime/install.ts';
import type { AttachmentTable } from './attachments.ts';

export type NetworkListReconciler = {
  /** Makes the file right; call it only while pods can be attached. */
  ensure(): void;
  readonly problems: readonly string[];
  /**
   * Takes list and plugin away, unless pods are attached: a runtime without them can end none of those. The plugin keeps
   * their DELs by itself, and `fairlead cleanup` takes both away after the last pod.
   */
  remove(attached: AttachmentTable['now']): void;
  [Symbol.dispose](): void;
};

/** @param onChange called when the runtime's folder changed. */
export function reconcileNetworkList(
  configuration: () => Pick<Configuration, 'cni' | 'paths'>,
  onChange: () => void,
  log: Logger,
): NetworkListReconciler {
  let problems: readonly string[] = [];
  let watcher: FSWatcher | undefined;
  let written: string | undefined;
  let watched = '';
  let left = false;
  const follow = (folder: string) => {
    if (watched === folder) return;
    watcher?.close();
    watcher = watch(folder, { persistent: false }, onChange).on('error', () => (watched = ''));
    watched = folder;
  };
  return {
    get problems() {
      return problems;
    },
    ensure: () => {
      if (left) return;
      const { cni, paths } = configuration();
      if (cni.confDirectory === '') {
        problems = [];
        return;
      }
      const path = listPath(cni);
      try {
        const { text, problem } = decideList(path, read(path), {
          ...cni,
          ...unlessDefault('agentSocket', paths.socketDirectory, 'paths.socketDirectory', '/cni.sock'),
          ...unlessDefault('stateDirectory', paths.stateDirectory, 'paths.stateDirectory'),
        });
        if (text !== undefined) {
          writeAtomically(path, text, 0o644);
          log.info('wrote the network list of the container runtime', { path });
        }
        if (problem === undefined) {
          // The name or the folder changed.
          if (written !== undefined && written !== path) removeDurably(written);
          written = path;
        }
        follow(cni.confDirectory);
        problems = [...(problem === undefined ? [] : [problem]), ...rivalsOf(cni)];
      } catch (error) {
        problems = [`${path}: ${reasonOf(error)}`];
      }
    },
    remove: (attached) => {
      left = true;
      const { cni } = configuration();
      if (!attached.known || attached.live.size > 0) {
        log.warn(
          'list and plugin of the container runtime stay until fairlead cleanup, which comes after the last pod',
          {
            pods: attached.known ? attached.live.size : 'not known',
          },
        );
        return;
      }
      try {
        for (const path of uninstallFromRuntime(cni)) log.info('removed', { path });
      } catch (error) {
        log.error('list and plugin of the container runtime stay; remove them by hand', {
          reason: describeError(error),
        });
      }
    },
    [Symbol.dispose]: () => watcher?.close(),
  };
}

/** Runtimes take the first list by name. */
export function rivalsOf({ confDirectory, fileName }: Configuration['cni']): string[] {
  const [first] = runtimeLists(readdirSync(confDirectory));
  if (first === undefined || first >= fileName) return [];
  return [
    `${confDirectory}/${first} comes before ${fileName}, and runtimes take the first list by name: ` +
      'take it away, or set cni.fileName to a name before it',
  ];
}

function unlessDefault(field: string, value: string, key: string, suffix = ''): Record<string, string> {
  return value === defaultValue(key) ? {} : { [field]: `${value}${suffix}` };
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
