/**
 * A NetworkPolicy as it comes from the API. One with a mistake allows nothing to the pods that it selects, in both
 * directions, until it is mended; where even that cannot be read, to all pods of its namespace.
 */

import { describeError } from '../../../base/errors/errors.ts';
import { type Fields, fieldAt, fieldsAt, isFields, show } from '../../../base/fields/fields.ts';
import { cidrContainsCidr } from '../../../base/ip/cidr.ts';
import {
  DIRECTIONS,
  type Direction,
  type NetworkPolicy,
  type Peer,
  type PolicyPort,
  type PolicyRule,
  PROTOCOLS,
  type Selector,
} from './objects.ts';
import { isPort, isPortName, isStaged, listOf, parseBlockCidr, refuseLarge } from './parse-fields.ts';
import { parseSelector } from './selector.ts';

/** The problem begins with the field: what it is of is known where it is shown. */
export type ParsedPolicy = { policy: NetworkPolicy; problem?: string };

/** @param value of the API, with a name and a namespace that were checked. */
export function parseNetworkPolicy(namespace: string, name: string, value: unknown): ParsedPolicy {
  const spec = isFields(value) ? fieldsAt(value, 'spec') : {};
  const staged = isStaged(value);
  let pods: Selector = [];
  try {
    pods = parseSelector(fieldAt(spec, 'podSelector') ?? {}, 'spec.podSelector');
    refuseLarge(spec, 'spec');
    const types = parseTypes(spec);
    const rules = (direction: Direction) =>
      types.includes(direction) ? { [direction]: parseRules(spec, direction) } : {};
    return { policy: { namespace, name, staged, pods, ...rules('ingress'), ...rules('egress') } };
  } catch (error) {
    return {
      policy: { namespace, name, staged, pods, ingress: [], egress: [] },
      problem: `${describeError(error)}; until it is mended it allows nothing to the pods that it selects`,
    };
  }
}

/** Without `policyTypes`: ingress always, egress where there are rules for it. */
function parseTypes(spec: Fields): Direction[] {
  const types = fieldAt(spec, 'policyTypes') ?? [];
  if (!Array.isArray(types)) throw new Error(`spec.policyTypes: ${show(types)} is not a list`);
  if (types.length === 0) return isPresent(spec, 'egress') ? ['ingress', 'egress'] : ['ingress'];
  return types.map((type: unknown) => {
    const direction = DIRECTIONS.find((known) => type === (known === 'ingress' ? 'Ingress' : 'Egress'));
    if (direction === undefined)
      throw new Error(`spec.policyTypes: ${show(type)} is unknown; write Ingress or Egress`);
    return direction;
  });
}

function isPresent(fields: Fields, name: string): boolean {
  const value = fieldAt(fields, name) ?? [];
  return !Array.isArray(value) || value.length > 0;
}

function parseRules(spec: Fields, direction: Direction): PolicyRule[] {
  const field = `spec.${direction}`;
  return listOf(spec, direction, field).map((item, index) => {
    const at = `${field}[${index}]`;
    if (item !== null && !isFields(item)) throw new Error(`${at}: ${show(item)} is not a rule`);
    const rule = item ?? {};
    const side = direction === 'ingress' ? 'from' : 'to';
    const peers = listOf(rule, side, `${at}.${side}`).map((peer, number) =>
      parsePeer(peer, `${at}.${side}[${number}]`),
    );
    const ports = listOf(rule, 'ports', `${at}.ports`).map((port, number) =>
      parsePort(port, `${at}.ports[${number}]`),
    );
    return { ...(peers.length > 0 ? { peers } : {}), ...(ports.length > 0 ? { ports } : {}) };
  });
}

function parsePeer(item: unknown, field: string): Peer {
  const fields = isFields(item) ? item : {};
  const [block, pods, namespaces] = ['ipBlock', 'podSelector', 'namespaceSelector'].map(
    (name) => fieldAt(fields, name) ?? undefined,
  );
  if (block !== undefined) {
    if (pods !== undefined || namespaces !== undefined)
      throw new Error(`${field}: an ipBlock stands alone; write the selectors as another peer`);
    return parseBlock(block, `${field}.ipBlock`);
  }
  if (pods === undefined && namespaces === undefined)
    throw new Error(`${field}: ${show(item)} names nobody; write podSelector, namespaceSelector or ipBlock`);
  return {
    kind: 'pods',
    pods: pods === undefined ? [] : parseSelector(pods, `${field}.podSelector`),
    ...(namespaces === undefined
      ? {}
      : { namespaces: parseSelector(namespaces, `${field}.namespaceSelector`) }),
  };
}

function parseBlock(value: unknown, field: string): Peer {
  const fields = isFields(value) ? value : {};
  const cidr = parseBlockCidr(fieldAt(fields, 'cidr'), `${field}.cidr`);
  const except = listOf(fields, 'except', `${field}.except`).map((text, index) => {
    const range = parseBlockCidr(text, `${field}.except[${index}]`);
    if (!cidrContainsCidr(cidr, range))
      throw new Error(
        `${field}.except[${index}]: ${range} is not within ${cidr}; leave it out or correct it`,
      );
    return range;
  });
  return { kind: 'block', cidr, except };
}

function parsePort(item: unknown, field: string): PolicyPort {
  if (item !== null && !isFields(item)) throw new Error(`${field}: ${show(item)} is not a port`);
  const fields = item ?? {};
  const stated = fieldAt(fields, 'protocol') ?? 'TCP';
  const protocol = PROTOCOLS.find((known) => known === stated);
  if (protocol === undefined)
    throw new Error(`${field}.protocol: ${show(stated)} is unknown; write one of ${PROTOCOLS.join(', ')}`);
  const port = fieldAt(fields, 'port') ?? undefined;
  const endPort = fieldAt(fields, 'endPort') ?? undefined;
  if (typeof port === 'number' && !isPort(port))
    throw new Error(`${field}.port: ${port} is not a port; write 1 to 65535`);
  if (typeof port === 'string' && !isPortName(port))
    throw new Error(`${field}.port: ${show(port)} is not the name of a port`);
  if (port !== undefined && typeof port !== 'number' && typeof port !== 'string')
    throw new Error(`${field}.port: ${show(port)} is neither a number nor a name`);
  if (endPort !== undefined) {
    if (!isPort(port) || !isPort(endPort) || endPort < port)
      throw new Error(
        `${field}.endPort: ${show(endPort)} does not end a range that begins with port ${show(port)}`,
      );
    return { protocol, port, endPort };
  }
  return { protocol, ...(port === undefined ? {} : { port }) };
}
