/** Settings that no netlink request changes: files under /proc/sys (Documentation/networking/ip-sysctl.rst). */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NetworkNamespace } from '../netlink/namespace.ts';
import { native } from '../netlink/native.ts';

/** A name with dots, or with slashes where the name of an interface in it may have dots. */
export type Sysctl = { name: string; value: string };

export type Sysctls = {
  /** Of the process' own namespace. @throws the error of the file system: ENOENT where the kernel has no such setting. */
  read(name: string): string;
  /** @param namespace the process' own where absent. @throws as {@link Sysctls.read}. */
  write(setting: Sysctl, namespace?: Pick<NetworkNamespace, 'fd'>): void;
};

const FOLDER = '/proc/sys';

/** @param folder where settings are written: in a container /proc/sys is read-only, and the host's lies elsewhere. */
export function openSysctls(folder: string): Sysctls {
  return {
    read: (name) => readFileSync(join(FOLDER, sysctlPath(name)), 'utf8').trim(),
    write: ({ name, value }, namespace) => {
      const path = join(folder, sysctlPath(name));
      // Without O_CREAT: a setting that is not there is ENOENT, in whatever folder.
      if (namespace === undefined) writeFileSync(path, value, { flag: 'r+' });
      else native.writeInNamespace(namespace.fd, path, value);
    },
  };
}

export function sysctlPath(name: string): string {
  return name.includes('/') ? name : name.replaceAll('.', '/');
}
