/** What tells network managers of the host to leave Fairlead's devices, routes and rules alone. */

export type HostFile = { path: string; text: string };

const HEAD = '# Written by Fairlead; docs/installation.md says why.\n';

/**
 * systemd-networkd (networkd.conf(5), systemd.network(5)) deletes routes and rules that it does not know when it starts
 * anew, and would configure our devices where a .network file of the host matches any name.
 * @param folder `/etc/systemd`.
 */
export function networkdFiles(folder: string): HostFile[] {
  return [
    {
      path: `${folder}/networkd.conf.d/50-fairlead.conf`,
      text: `${HEAD}[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=no\n`,
    },
    {
      // Before whatever the host has: the first file that matches counts.
      path: `${folder}/network/00-fairlead.network`,
      text: `${HEAD}[Match]\nName=fl* fb*\nKind=veth vxlan ifb\n\n[Link]\nUnmanaged=yes\n`,
    },
  ];
}

/** NetworkManager (NetworkManager.conf(5)). @param folder `/etc/NetworkManager/conf.d`. */
export function networkManagerFiles(folder: string): HostFile[] {
  return [
    {
      path: `${folder}/50-fairlead.conf`,
      text: `${HEAD}[keyfile]\nunmanaged-devices+=interface-name:fl*;interface-name:fb*\n`,
    },
  ];
}

/** All of them, as a repository keeps them for people who install by hand. */
export function dropIns(folder: string): HostFile[] {
  return [...networkdFiles(`${folder}/networkd`), ...networkManagerFiles(`${folder}/NetworkManager/conf.d`)];
}
