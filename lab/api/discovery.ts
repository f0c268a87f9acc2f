/** What there is: versions, groups and resources, as clients ask before anything else. */
import { KINDS, type Kind } from './kinds.ts';

/** The API that is spoken; a kubectl of any version takes it. */
export const API_VERSION = { major: '1', minor: '32', gitVersion: 'v1.32.0+fairlead' };

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

/** @returns undefined where the path is not one of discovery. */
export function discover(path: string): object | undefined {
  const [root, group, version, ...more] = path.split('/').slice(1);
  if (path === '/version') return { ...API_VERSION, platform: 'linux', goVersion: '', compiler: 'node' };
  if (path === '/')
    return {
      paths: ['/api', '/apis', '/healthz', '/livez', '/openapi/v2', '/openapi/v3', '/readyz', '/version'],
    };
  if (root === 'api' && group === undefined)
    return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] };
  if (root === 'api' && version === undefined) return group === 'v1' ? resourceList('', 'v1') : undefined;
  if (root !== 'apis') return undefined;
  if (group === undefined)
    return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups().map(describeGroup) };
  const found = groups().find((candidate) => candidate.name === group);
  if (found === undefined || more.length > 0) return undefined;
  if (version === undefined) return { kind: 'APIGroup', apiVersion: 'v1', ...describeGroup(found) };
  return found.versions.includes(version) ? resourceList(group, version) : undefined;
}

type Group = { name: string; versions: string[] };

export function groups(): Group[] {
  const byName = Map.groupBy(
    KINDS.filter(({ group }) => group !== ''),
    ({ group }) => group,
  );
  return [...byName].map(([name, kinds]) => ({
    name,
    versions: [...new Set(kinds.map(({ version }) => version))],
  }));
}

function describeGroup({ name, versions }: Group): object {
  const all = versions.map((version) => ({ groupVersion: `${name}/${version}`, version }));
  return { name, versions: all, preferredVersion: all[0] };
}

function resourceList(group: string, version: string): object {
  const kinds = KINDS.filter((kind) => kind.group === group && kind.version === version);
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: group === '' ? version : `${group}/${version}`,
    resources: kinds.flatMap(describeKind),
  };
}

function describeKind({ plural, kind, namespaced, shortNames, status }: Kind): object[] {
  const categories = ['Pod', 'Service'].includes(kind) ? { categories: ['all'] } : {};
  const own = { name: plural, singularName: kind.toLowerCase(), namespaced, kind, verbs: VERBS };
  const all: object[] = [{ ...own, ...(shortNames.length > 0 ? { shortNames } : {}), ...categories }];
  if (status)
    all.push({
      name: `${plural}/status`,
      singularName: '',
      namespaced,
      kind,
      verbs: ['get', 'patch', 'update'],
    });
  if (kind === 'Pod') all.push({ name: 'pods/log', singularName: '', namespaced, kind, verbs: ['get'] });
  return all;
}
