/** What a later agent needs of this one, kept on disk; what could not be kept is tried with the next resync. */
import { describeError } from '../errors/errors.ts';
import { saveNodeView } from './node-record.ts';
import type { NodeView } from './node-view.ts';
import { type Changed, rememberSettings } from './sysctl.ts';

export type NodeMemory = {
  /** Settings of the node that were changed, with what they were. */
  addSettings(changed: readonly Changed[]): void;
  setView(view: NodeView): void;
  /** @returns what could not be kept, one sentence each. */
  save(stateDirectory: string): string[];
};

export function createNodeMemory(): NodeMemory {
  let settings: readonly Changed[] = [];
  let view: NodeView | undefined;
  return {
    addSettings: (changed) => {
      settings = [...settings, ...changed];
    },
    setView: (latest) => {
      view = latest;
    },
    save: (stateDirectory) => {
      const problems: string[] = [];
      const attempt = (what: string, task: () => void) => {
        try {
          task();
        } catch (error) {
          problems.push(
            `${what} cannot be kept in ${stateDirectory}: ${describeError(error)}; make the directory writable, with room left`,
          );
        }
      };
      attempt('what settings of the node were before', () => {
        rememberSettings(stateDirectory, settings);
        settings = [];
      });
      const latest = view;
      if (latest === undefined) return problems;
      attempt("the node's view of itself", () => {
        saveNodeView(stateDirectory, latest);
        view = undefined;
      });
      return problems;
    },
  };
}
