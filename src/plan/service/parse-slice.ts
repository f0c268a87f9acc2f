/** An EndpointSlice (discovery.k8s.io/v1) as the API sends it. */

import { type Fields, fieldAt, fieldsAt, isFields, show } from '../../base/fields/fields.ts';
import { ipFamily } from '../../base/ip/ip.ts';
import { parseLenientIp } from './lenient.ts';
import type { SliceEndpoint, SliceObject, SlicePort } from './objects.ts';
import { HEADLESS_LABEL, isName, isPort, listOf, PROXY_NAME_LABEL, protocolOf } from './parse-service.ts';

/** Without `slice` and `problem` it is none of ours: another proxy's, or no service's. */
export type ParsedSlice = { slice?: SliceObject; problems: readonly string[] } | { problem: string };

export const SERVICE_NAME_LABEL = 'kubernetes.io/service-name';
/** What the API allows in one slice. */
const MOST_ENDPOINTS = 1000;
const MOST_PORTS = 20_000;
const NONE: readonly string[] = Object.freeze([]);

export function parseSlice(value: unknown): ParsedSlice {
  if (!isFields(value)) return { problem: `${show(value)} is not an object` };
  const metadata = fieldsAt(value, 'metadata');
  const [namespace, name] = [fieldAt(metadata, 'namespace'), fieldAt(metadata, 'name')];
  if (!isName(namespace)) return { problem: `metadata.namespace: ${show(namespace)} is not a name` };
  if (!isName(name)) return { problem: `metadata.name: ${show(name)} is not a name` };
  const labels = fieldsAt(metadata, 'labels');
  const service = fieldAt(labels, SERVICE_NAME_LABEL);
  const foreign = Object.hasOwn(labels, PROXY_NAME_LABEL) || Object.hasOwn(labels, HEADLESS_LABEL);
  if (service === undefined || foreign) return { problems: [] };
  if (!isName(service))
    return { problem: `metadata.labels: ${SERVICE_NAME_LABEL}: ${show(service)} is not a name` };
  const type = fieldAt(value, 'addressType');
  if (type !== 'IPv4' && type !== 'IPv6' && type !== 'FQDN')
    return { problem: `addressType: ${show(type)} is none of IPv4, IPv6, FQDN` };
  const problems: string[] = [];
  const head = { namespace, name, service };
  if (type === 'FQDN') return { slice: { ...head, ports: [], endpoints: [] }, problems };
  const family = type === 'IPv4' ? 4 : 6;
  const endpoints = listOf(value, 'endpoints', 'endpoints', problems, MOST_ENDPOINTS).flatMap((item) =>
    readEndpoint(item, family, problems),
  );
  return { slice: { ...head, family, ports: readPorts(value, problems), endpoints }, problems };
}

function readPorts(value: Fields, problems: string[]): SlicePort[] {
  return listOf(value, 'ports', 'ports', problems, MOST_PORTS).flatMap((item): SlicePort[] => {
    const fields = isFields(item) ? item : {};
    const [name, port, protocol] = [
      fieldAt(fields, 'name') ?? '',
      fieldAt(fields, 'port'),
      protocolOf(fields),
    ];
    // None, or zero, means all of them, which no service can lead to.
    if (port === undefined || port === null || port === 0) return [];
    if (typeof name === 'string' && isPort(port) && protocol !== undefined) return [{ name, protocol, port }];
    problems.push(`ports: ${show(item)} is not a port; it is left out until it is mended`);
    return [];
  });
}

/** All addresses of an endpoint but the first are without meaning (API documentation of `endpoints.addresses`). */
function readEndpoint(item: unknown, family: 4 | 6, problems: string[]): SliceEndpoint[] {
  const fields = isFields(item) ? item : {};
  const [address] = listOf(fields, 'addresses', 'endpoints.addresses', problems);
  const ip = parseLenientIp(address);
  if (ip === undefined || ipFamily(ip) !== family) {
    problems.push(`endpoints: ${show(address)} is not an IPv${family} address; it is left out`);
    return [];
  }
  const conditions = fieldsAt(fields, 'conditions');
  const nodeName = fieldAt(fields, 'nodeName');
  const hints = fieldsAt(fields, 'hints');
  return [
    {
      ip,
      ready: fieldAt(conditions, 'ready') !== false,
      serving: fieldAt(conditions, 'serving') !== false,
      terminating: fieldAt(conditions, 'terminating') === true,
      ...(typeof nodeName === 'string' && nodeName !== '' ? { nodeName } : {}),
      forNodes: namesIn(hints, 'forNodes', problems),
      forZones: namesIn(hints, 'forZones', problems),
    },
  ];
}

function namesIn(hints: Fields, field: string, problems: string[]): readonly string[] {
  const list = listOf(hints, field, `endpoints.hints.${field}`, problems);
  if (list.length === 0) return NONE;
  return list.flatMap((item): string[] => {
    const name = isFields(item) ? fieldAt(item, 'name') : undefined;
    return typeof name === 'string' ? [name] : [];
  });
}
