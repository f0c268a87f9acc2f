/** The `/etc/resolv.conf` of a pod: a file of the lab, over the machine's for the processes of the pod alone. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ApiObject, listAt, textAt } from '../api/storage/object.ts';
import { DOMAIN } from '../dns/zone.ts';
import { dnsAddresses } from '../slices/cluster-services.ts';
import { labDirectory, podFileName } from '../state.ts';
import type { LabPlan } from '../topology.ts';
import { recordName } from './plan.ts';

const MACHINE = '/etc/resolv.conf';
/** A glibc reads so many. */
const MOST_SERVERS = 3;

export type ResolverSettings = {
  nameservers: readonly string[];
  searches: readonly string[];
  options: readonly string[];
};

/** What a pod of that namespace asks by itself. */
export function clusterFirst(namespace: string, nameservers: readonly string[]): ResolverSettings {
  const searches = [`${namespace}.svc.${DOMAIN}`, `svc.${DOMAIN}`, DOMAIN];
  return { nameservers, searches, options: ['ndots:5'] };
}

/** With what the pod itself asks for (core/v1 PodDNSConfig). @returns undefined where it is the machine's. */
export function resolverSettings(pod: ApiObject, servers: readonly string[]): ResolverSettings | undefined {
  const policy = textAt(pod, 'spec', 'dnsPolicy');
  if (policy === 'Default') return undefined;
  const none = { nameservers: [], searches: [], options: [] };
  const base = policy === 'None' ? none : clusterFirst(pod.metadata.namespace ?? 'default', servers);
  const own = listAt(pod, 'spec', 'dnsConfig', 'options').map((option) => {
    const [name, value] = [textAt(option, 'name'), textAt(option, 'value')];
    return value === '' ? name : `${name}:${value}`;
  });
  const named = new Set(own.map((option) => option.split(':')[0]));
  return {
    nameservers: [...base.nameservers, ...listAt(pod, 'spec', 'dnsConfig', 'nameservers').map(String)],
    searches: [...base.searches, ...listAt(pod, 'spec', 'dnsConfig', 'searches').map(String)],
    options: [...base.options.filter((option) => !named.has(option.split(':')[0])), ...own],
  };
}

export function formatResolver({ nameservers, searches, options }: ResolverSettings): string {
  const lines = [
    ...(searches.length > 0 ? [`search ${searches.join(' ')}`] : []),
    ...nameservers.slice(0, MOST_SERVERS).map((server) => `nameserver ${server}`),
    ...(options.length > 0 ? [`options ${options.join(' ')}`] : []),
  ];
  return `${lines.join('\n')}\n`;
}

/** In a lab without a DNS pods have the machine's. */
export function writeResolver(plan: LabPlan, pod: ApiObject): void {
  if (!plan.options.dns) return;
  const settings = resolverSettings(pod, dnsAddresses(plan));
  write(
    plan,
    recordName(pod),
    settings === undefined ? readFileSync(MACHINE, 'utf8') : formatResolver(settings),
  );
}

export function removeResolver(lab: string, pod: string): void {
  rmSync(pathOf(lab, pod), { force: true });
}

/** The command, as it is run in the network of a pod. @param pod its name in the lab's commands. */
export function withResolver(plan: LabPlan, pod: string, command: readonly string[]): readonly string[] {
  if (!plan.options.dns) return command;
  const path = pathOf(plan.options.name, pod);
  // A command of the lab made it, in the default namespace.
  if (!existsSync(path)) write(plan, pod, formatResolver(clusterFirst('default', dnsAddresses(plan))));
  const bind = `mount --bind "$0" ${MACHINE} && exec "$@"`;
  return ['unshare', '--mount', '--propagation', 'private', '--', 'sh', '-c', bind, path, ...command];
}

function write(plan: LabPlan, pod: string, text: string): void {
  const path = pathOf(plan.options.name, pod);
  mkdirSync(join(path, '..'), { recursive: true, mode: 0o700 });
  writeFileSync(path, text, { mode: 0o644 });
}

function pathOf(lab: string, pod: string): string {
  return join(labDirectory(lab), 'resolv', podFileName(pod));
}
