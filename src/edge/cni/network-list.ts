/**
 * The network configuration list by which a container runtime finds the plugin (CNI specification, "Network configuration
 * format"). Others may add plugins of theirs to it, as service meshes do: those stay.
 */

import { isDeepStrictEqual } from 'node:util';
import type { ListSettings } from '../../base/config/network-list.ts';
import { describeError } from '../../base/errors/errors.ts';

export const PLUGIN_NAME = 'fairlead-cni';
type Fields = Readonly<Record<string, unknown>>;

/** What is to be done to the file: nothing, write this, or report a problem. */
export type ListDecision = { text?: string; problem?: string };

/** @param current text of the file; undefined where there is none. */
export function decideList(path: string, current: string | undefined, settings: ListSettings): ListDecision {
  const own = ownPlugin(settings);
  const head = { cniVersion: settings.listVersion, name: settings.networkName };
  if (current === undefined || current.trim() === '') return { text: print({ ...head, plugins: [own] }) };
  const list = readList(current);
  if ('problem' in list)
    return { problem: `${path}: ${list.problem}; delete it, and the agent writes its own` };
  if (!list.plugins.some(isOwn))
    return { problem: `${path} is somebody else's: no plugin in it is ${PLUGIN_NAME}; move it away` };
  const plugins = list.plugins.map((plugin) => (isOwn(plugin) ? own : plugin));
  const wanted = { ...list.fields, ...head, plugins };
  return isDeepStrictEqual(wanted, list.fields) ? {} : { text: print(wanted) };
}

/** Whether a file of a runtime's folder leads to our plugin. */
export function namesPlugin(text: string): boolean {
  const list = readList(text);
  return 'plugins' in list && list.plugins.some(isOwn);
}

/** The files of a folder that runtimes look at, in their order. */
export function runtimeLists(names: readonly string[]): string[] {
  return names.filter((name) => /\.(conflist|conf|json)$/.test(name)).toSorted();
}

function ownPlugin({ capabilities, agentSocket, stateDirectory }: ListSettings): Fields {
  return {
    type: PLUGIN_NAME,
    ...(agentSocket === undefined ? {} : { agentSocket }),
    ...(stateDirectory === undefined ? {} : { stateDirectory }),
    ...(capabilities.length === 0
      ? {}
      : { capabilities: Object.fromEntries(capabilities.map((name) => [name, true])) }),
  };
}

/** A list, or a single plugin as runtimes also take it. */
function readList(text: string): { fields: Fields; plugins: readonly unknown[] } | { problem: string } {
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch (error) {
    return { problem: `is not JSON: ${describeError(error)}` };
  }
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields))
    return { problem: 'is no network configuration' };
  const { plugins } = fields as Fields;
  return { fields: fields as Fields, plugins: Array.isArray(plugins) ? (plugins as unknown[]) : [fields] };
}

function isOwn(plugin: unknown): boolean {
  return typeof plugin === 'object' && plugin !== null && Reflect.get(plugin, 'type') === PLUGIN_NAME;
}

function print(list: Fields): string {
  return `${JSON.stringify(list, null, 2)}\n`;
}
