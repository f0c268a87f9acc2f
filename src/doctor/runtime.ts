/** Whether the container runtime of the node would find the plugin, and take our list. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { broken, type Finding, fine } from './finding.ts';

/** @param plugins and @param networks the runtime's folders. */
export function examineRuntime(plugins: string, networks: string): Finding[] {
  if (!existsSync(networks))
    return [
      broken(
        'container runtime',
        `there is no folder ${networks}`,
        'name the folder of your runtime with --networks',
      ),
    ];
  const lists = readdirSync(networks)
    .filter((name) => /\.(conflist|conf|json)$/.test(name))
    .toSorted();
  const [first] = lists;
  const ours = lists.filter((name) => readText(join(networks, name)).includes('"fairlead-cni"'));
  const plugin = join(plugins, 'fairlead-cni');
  return [
    existsSync(plugin)
      ? fine('plugin', plugin)
      : broken('plugin', `${plugin} is missing`, 'copy it there from the image, or let the agent install it'),
    ours.length === 0
      ? broken(
          'network list',
          `none of ${lists.join(', ') || 'nothing'} in ${networks} names fairlead-cni`,
          'install the list; docs/runtimes.md has it',
        )
      : first === ours[0]
        ? fine('network list', join(networks, ours[0]!))
        : broken(
            'network list',
            `runtimes take the first list by name, which is ${first}, not ${ours[0]}`,
            `take ${first} away, or give ours a name before it`,
          ),
  ];
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
