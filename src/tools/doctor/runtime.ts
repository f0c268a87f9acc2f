/** Whether the container runtime of the node would find the plugin, and take our list. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { namesPlugin, PLUGIN_NAME, runtimeLists } from '../../edge/cni/network-list.ts';
import { broken, doubtful, type Finding, fine } from './finding.ts';

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
  const lists = runtimeLists(readdirSync(networks));
  const [first] = lists;
  const ours = lists.filter((name) => namesPlugin(readText(join(networks, name))));
  const plugin = join(plugins, PLUGIN_NAME);
  const loopback = join(plugins, 'loopback');
  return [
    existsSync(plugin)
      ? fine('plugin', plugin)
      : broken(
          'plugin',
          `${plugin} is missing`,
          'set cni.binDirectory and run fairlead install, or copy it there from the image',
        ),
    existsSync(loopback)
      ? fine('loopback plugin', loopback)
      : doubtful(
          'loopback plugin',
          `${loopback} is missing, and runtimes before containerd 2 call it for every pod`,
          'install containernetworking-plugins or kubernetes-cni',
        ),
    ours.length === 0
      ? broken(
          'network list',
          `none of ${lists.join(', ') || 'nothing'} in ${networks} names fairlead-cni`,
          'the agent writes it where cni.confDirectory names this folder, once it can take pods; docs/runtimes.md has it',
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
