/**
 * A pod's name as alternative names of the host's end of its veth, where the alias has no room for it. An earlier agent
 * that reads such a record knows the attachment, as ever, and not the pod.
 */
import type { PodName } from '../../edge/cni/pod-name.ts';

/** Of IFLA_ALT_IFNAME's 127 bytes, what is left behind `fl0123456789ab.pod.9.9.`. */
const CHUNK = 100;

/**
 * As in `fl0123456789ab.namespace.shop` and, for as many parts as it takes, `fl0123456789ab.pod.0.1.web-0`: which part of
 * how many. All characters of Kubernetes' names may stand in an interface's name.
 */
export function formatPodNames(linkName: string, { namespace, name }: PodName): string[] {
  const count = Math.ceil(name.length / CHUNK);
  return [
    [linkName, 'namespace', namespace].join('.'),
    ...Array.from({ length: count }, (_, at) =>
      [linkName, 'pod', at, count, name.slice(at * CHUNK, (at + 1) * CHUNK)].join('.'),
    ),
  ];
}

/** @returns undefined unless all parts of one name are there. */
export function parsePodNames(linkName: string, names: readonly string[]): PodName | undefined {
  let namespace: string | undefined;
  const parts = new Map<number, string>();
  let count = 0;
  for (const text of names) {
    const [head, kind, ...rest] = text.split('.');
    if (head !== linkName) continue;
    if (kind === 'namespace') namespace = rest.join('.');
    if (kind !== 'pod') continue;
    const [at, of, ...part] = rest;
    parts.set(Number(at), part.join('.'));
    count = Number(of);
  }
  if (!namespace || count === 0 || parts.size !== count) return undefined;
  const name = Array.from({ length: count }, (_, at) => parts.get(at) ?? '').join('');
  return name === '' ? undefined : { namespace, name };
}
