/**
 * A ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2) as it comes from the API. What cannot be read fails closed, as
 * the API's own documentation has it: such a rule that accepts matches nothing, such a rule that denies or passes denies
 * everything. Where the subject cannot be read, it is every pod.
 */

import { describeError } from '../../../base/errors/errors.ts';
import { type Fields, fieldAt, fieldsAt, isFields, show, textAt } from '../../../base/fields/fields.ts';
import {
  type Action,
  type ClusterPolicy,
  type Direction,
  type Peer,
  type PolicyPort,
  PROTOCOLS,
  type Tier,
  type TierRule,
} from './objects.ts';
import { isPort, isPortName, isStaged, listOf, parseBlockCidr, refuseLarge } from './parse-fields.ts';
import { parseSelector } from './selector.ts';

export type ParsedClusterPolicy = { policy: ClusterPolicy; problem?: string };

const TIERS: Readonly<Record<string, Tier>> = { Admin: 'admin', Baseline: 'baseline' };
const ACTIONS: Readonly<Record<string, Action>> = { Accept: 'accept', Deny: 'deny', Pass: 'pass' };
const LAST_PRIORITY = 1000;

/** @param value of the API, with a name that was checked. */
export function parseClusterPolicy(name: string, value: unknown): ParsedClusterPolicy {
  const spec = isFields(value) ? fieldsAt(value, 'spec') : {};
  const problems: string[] = [];
  const attempt = <T>(read: () => T, otherwise: T): T => {
    try {
      return read();
    } catch (error) {
      problems.push(describeError(error));
      return otherwise;
    }
  };
  const policy: ClusterPolicy = {
    name,
    staged: isStaged(value),
    tier: attempt(() => parseTier(spec), 'admin'),
    priority: attempt(() => parsePriority(spec), 0),
    subject: attempt(() => parseSubject(spec), { namespaces: [], pods: [] }),
    ...parseDirections(spec, attempt),
  };
  if (problems.length === 0) return { policy };
  return {
    policy,
    problem: `${problems.join('; ')}; until it is mended it denies what it might mean`,
  };
}

type Attempt = <T>(read: () => T, otherwise: T) => T;

function parseTier(spec: Fields): Tier {
  const stated = textAt(spec, 'tier') ?? '';
  const tier = Object.hasOwn(TIERS, stated) ? TIERS[stated] : undefined;
  if (tier === undefined)
    throw new Error(`spec.tier: ${show(fieldAt(spec, 'tier'))} is unknown; write Admin or Baseline`);
  return tier;
}

function parsePriority(spec: Fields): number {
  const priority = fieldAt(spec, 'priority');
  if (typeof priority !== 'number' || !Number.isInteger(priority) || priority < 0 || priority > LAST_PRIORITY)
    throw new Error(`spec.priority: ${show(priority)} is none; write 0 to ${LAST_PRIORITY}`);
  return priority;
}

function parseSubject(spec: Fields): ClusterPolicy['subject'] {
  const subject = fieldsAt(spec, 'subject');
  const peer = parsePods(subject, 'spec.subject');
  if (peer === undefined || Object.keys(subject).length !== 1)
    throw new Error(`spec.subject: ${show(fieldAt(spec, 'subject'))} is none; write namespaces or pods`);
  return peer;
}

function parsePods(fields: Fields, field: string): ClusterPolicy['subject'] | undefined {
  const [namespaces, pods] = [fieldAt(fields, 'namespaces'), fieldAt(fields, 'pods')];
  if (namespaces !== undefined)
    return { namespaces: parseSelector(namespaces, `${field}.namespaces`), pods: [] };
  if (pods === undefined) return undefined;
  const both = isFields(pods) ? pods : {};
  return {
    namespaces: parseSelector(fieldAt(both, 'namespaceSelector') ?? {}, `${field}.pods.namespaceSelector`),
    pods: parseSelector(fieldAt(both, 'podSelector'), `${field}.pods.podSelector`),
  };
}

/** One that is too large to be read denies everything in the directions for which it has rules. */
function parseDirections(spec: Fields, attempt: Attempt): Record<Direction, TierRule[]> {
  const isReadable = attempt(() => {
    refuseLarge(spec, 'spec');
    return true;
  }, false);
  const rules = (direction: Direction): TierRule[] => {
    if (isReadable) return parseRules(spec, direction, attempt);
    return fieldAt(spec, direction) === undefined ? [] : [{ action: 'deny' }];
  };
  return { ingress: rules('ingress'), egress: rules('egress') };
}

function parseRules(spec: Fields, direction: Direction, attempt: Attempt): TierRule[] {
  const field = `spec.${direction}`;
  const items = attempt<readonly unknown[]>(() => listOf(spec, direction, field), [{}]);
  return items.map((item, index) => {
    const at = `${field}[${index}]`;
    const fields = isFields(item) ? item : {};
    const action = attempt(() => parseAction(fields, at), 'deny');
    const closed: TierRule = action === 'accept' ? { action, peers: [] } : { action: 'deny' };
    return attempt(() => parseRule(fields, action, direction, at), closed);
  });
}

function parseAction(rule: Fields, at: string): Action {
  const stated = textAt(rule, 'action') ?? '';
  const action = Object.hasOwn(ACTIONS, stated) ? ACTIONS[stated] : undefined;
  if (action === undefined)
    throw new Error(`${at}.action: ${show(fieldAt(rule, 'action'))} is unknown; write Accept, Deny or Pass`);
  return action;
}

function parseRule(fields: Fields, action: Action, direction: Direction, at: string): TierRule {
  const side = direction === 'ingress' ? 'from' : 'to';
  const peers = listOf(fields, side, `${at}.${side}`);
  if (peers.length === 0) throw new Error(`${at}.${side}: is empty; name at least one peer`);
  const protocols = fieldAt(fields, 'protocols');
  const ports = listOf(fields, 'protocols', `${at}.protocols`);
  if (protocols !== undefined && ports.length === 0)
    throw new Error(`${at}.protocols: is empty; leave it out for every protocol`);
  const name = textAt(fields, 'name') ?? '';
  return {
    action,
    ...(name === '' ? {} : { name: name.slice(0, 100) }),
    peers: peers.flatMap((peer, index) => parsePeer(peer, direction, `${at}.${side}[${index}]`)),
    ...(ports.length === 0
      ? {}
      : { ports: ports.flatMap((port, index) => parseProtocol(port, `${at}.protocols[${index}]`)) }),
  };
}

function parsePeer(item: unknown, direction: Direction, at: string): Peer[] {
  const fields = isFields(item) ? item : {};
  const kinds = Object.keys(fields);
  const pods = parsePods(fields, at);
  if (kinds.length !== 1) throw new Error(`${at}: ${show(item)} is no peer; write exactly one kind of peer`);
  if (pods !== undefined) return [{ kind: 'pods', ...pods }];
  if (direction === 'egress' && kinds[0] === 'nodes')
    return [{ kind: 'nodes', nodes: parseSelector(fieldAt(fields, 'nodes'), `${at}.nodes`) }];
  if (direction === 'egress' && kinds[0] === 'networks') {
    const networks = listOf(fields, 'networks', `${at}.networks`);
    if (networks.length === 0) throw new Error(`${at}.networks: is empty; name at least one range`);
    return networks.map((range, index) => ({
      kind: 'block',
      cidr: parseBlockCidr(range, `${at}.networks[${index}]`),
      except: [],
    }));
  }
  throw new Error(
    `${at}: peers of kind ${show(kinds[0])} are not known here; write namespaces or pods${direction === 'egress' ? ', nodes or networks' : ''}`,
  );
}

/** A name alone stands for a port of any protocol that has it. */
function parseProtocol(item: unknown, at: string): PolicyPort[] {
  const fields = isFields(item) ? item : {};
  const [kind = '', ...more] = Object.keys(fields);
  if (more.length > 0 || kind === '')
    throw new Error(
      `${at}: ${show(item)} is no protocol; write exactly one of tcp, udp, sctp, destinationNamedPort`,
    );
  if (kind === 'destinationNamedPort') {
    const name = fieldAt(fields, kind);
    if (!isPortName(name)) throw new Error(`${at}.${kind}: ${show(name)} is not the name of a port`);
    return PROTOCOLS.map((protocol) => ({ protocol, port: name }));
  }
  const protocol = PROTOCOLS.find((known) => known.toLowerCase() === kind);
  if (protocol === undefined)
    throw new Error(`${at}: ${show(kind)} is unknown; write tcp, udp, sctp or destinationNamedPort`);
  const destination = fieldAt(fieldsAt(fields, kind), 'destinationPort');
  if (destination === undefined) return [{ protocol }];
  const stated = isFields(destination) ? destination : {};
  const number = fieldAt(stated, 'number');
  const range = fieldAt(stated, 'range');
  if (isPort(number) && range === undefined) return [{ protocol, port: number }];
  const [start, end] = isFields(range) ? [fieldAt(range, 'start'), fieldAt(range, 'end')] : [];
  if (number === undefined && isPort(start) && isPort(end) && start <= end)
    return [{ protocol, port: start, endPort: end }];
  throw new Error(
    `${at}.${kind}.destinationPort: ${show(destination)} is no port; write number, or range with start and end`,
  );
}
