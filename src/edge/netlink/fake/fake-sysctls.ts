/** The settings of fake namespaces: those of links are the links' own. */
import { type Sysctls, sysctlPath } from '../../sysctl/sysctls.ts';
import type { Ipv6DeviceSettings } from '../objects.ts';
import { findByName } from './fake-links.ts';
import type { FakeNamespace } from './fake-state.ts';

const IPV6_FIELDS: Readonly<Record<string, keyof Ipv6DeviceSettings>> = {
  disable_ipv6: 'disabled',
  accept_ra: 'acceptRa',
  accept_redirects: 'acceptRedirects',
  autoconf: 'autoconf',
  proxy_ndp: 'proxyNdp',
};
/** As a new namespace has them. */
const INITIAL: Readonly<Record<string, string>> = {
  'net/ipv4/ip_forward': '0',
  'net/ipv6/conf/all/forwarding': '0',
};

export function createFakeSysctls(own: FakeNamespace): Sysctls {
  const values = new Map(Object.entries(INITIAL));
  return {
    read: (name) => {
      const path = sysctlPath(name);
      const value = values.get(path) ?? readOfLink(own, path);
      if (value === undefined) throw missing(path);
      return value;
    },
    write: ({ name, value }, namespace) => {
      const path = sysctlPath(name);
      const target = namespace === undefined ? own : own.machine.get(namespace.fd);
      if (target !== undefined && writeOfLink(target, path, value)) return;
      if (!values.has(path)) throw missing(path);
      values.set(path, value);
      // The kernel sets every link, and what new ones get.
      if (path === 'net/ipv4/ip_forward')
        for (const { ipv4 } of own.links.values()) ipv4.forwarding = value === '1';
    },
  };
}

function readOfLink(namespace: FakeNamespace, path: string): string | undefined {
  const found = ofLink(namespace, path);
  return found === undefined ? undefined : String(Number(found.settings[found.field]));
}

function writeOfLink(namespace: FakeNamespace, path: string, value: string): boolean {
  const found = ofLink(namespace, path);
  if (found === undefined) return false;
  const { settings, field } = found;
  Object.assign(settings, { [field]: field === 'acceptRa' ? Number(value) : value === '1' });
  return true;
}

function ofLink(namespace: FakeNamespace, path: string) {
  const [, link, name] = /^net\/ipv6\/conf\/([^/]+)\/([a-z0-9_]+)$/.exec(path) ?? [];
  const field = IPV6_FIELDS[name ?? ''];
  const found = link === undefined || field === undefined ? undefined : findByName(namespace, link);
  return found === undefined || field === undefined ? undefined : { settings: found.ipv6, field };
}

function missing(path: string): Error {
  return Object.assign(new Error(`ENOENT: no such file or directory, open '/proc/sys/${path}'`), {
    code: 'ENOENT',
  });
}
