/**
 * Why a connection is allowed or denied: where its packets go, what each side's policies see of them, and which policy and
 * rule decide. Answered for each family by itself, from what one node enforces.
 */
import { cidrContains } from '../../../base/ip/cidr.ts';
import { type Ip, type IpFamily, ipFamily, isIp, parseIp } from '../../../base/ip/ip.ts';
import { type FlowRecord, identifyFlow, type Verdict } from '../../flow/flow-record.ts';
import { nameOf } from '../compile/clause.ts';
import { ITSELF, type SideVerdict } from '../compile/evaluate.ts';
import { DIRECTIONS, type Direction, PROTOCOLS, type Protocol } from '../parse/objects.ts';
import { type End, findBackends, findEnds, findService, type Known } from './ends.ts';
import { findHostPort, nodeOf, type Place, type Translation } from './place.ts';

/** Each end is an address, or a pod as `namespace/name` (`default` where only a name is given), `node/…`, `svc/…`. */
export type Question = {
  source: string;
  destination: string;
  protocol: string;
  port?: number;
  /** Absent: all that both ends have. */
  family?: IpFamily;
};

/** What the policies of one side see of the connection: a port of a node may have been translated before. */
export type Leg = { source: Ip; destination: Ip; port?: number };

/** A connection as packets take it, before policies are asked. */
export type Way = {
  source: End;
  destination: End;
  protocol: Protocol | 'ICMP';
  translated?: Translation;
  /** A side without one meets no policy. */
  legs: Partial<Record<Direction, Leg>>;
  passes?: 'itself' | 'own-node';
  isReachable: boolean;
};

export type Side = SideVerdict & Partial<Leg>;

export type Answer = FlowRecord & {
  sourcePlace: Place;
  destinationPlace: Place;
  /** By a port of a node that a pod has. */
  translated?: Translation;
  egress: Side;
  ingress: Side;
};

export type Backend = { ip: Ip; port: number; pod?: string; verdict: FlowRecord['verdict'] };

export type ServiceAnswer = { name: string; port: number; backends: readonly Backend[] };

export type Explanation = {
  /** At least one, IPv4 first. Of a service that which is denied, where any backend is. */
  answers: readonly Answer[];
  service?: ServiceAnswer;
};

/** What a question is about; `service` where its destinations are backends of one. */
export type Asked = { ways: readonly Way[]; service?: { name: string; port: number } };

/** @throws Error with the field and the cure. */
export function traceFlow(known: Known, question: Question): Asked {
  const protocol = readProtocol(question.protocol);
  const { port } = question;
  if (port !== undefined && !(Number.isInteger(port) && port >= 1 && port <= 65_535))
    throw new Error(`port: ${port} is not a port; name one from 1 to 65535`);
  if (findService(known, question.source) !== undefined)
    throw new Error(`source: ${question.source} is a service, which begins no connection; name a pod`);
  // What has no way there may have one from there.
  const sources = findEnds(known, question.source, known.local.node).map(
    (end): End => (end.place.at === 'no-route' ? { ...end, place: { at: 'outside' } } : end),
  );
  for (const end of sources) checkSource(question.source, end);
  const from = nodeOf(sources[0]!.place);
  const service = findService(known, question.destination);
  const trace = (ends: readonly End[]) =>
    pairUp(sources, ends, question).map((pair) => wayOf(known, pair, protocol));
  if (service === undefined) {
    if (protocol !== 'ICMP' && port === undefined)
      throw new Error('port: nothing is not a port; name one from 1 to 65535');
    const ends = findEnds(known, question.destination, from);
    return { ways: trace(ends.map((end) => ({ ...end, ...(port === undefined ? {} : { port }) }))) };
  }
  if (protocol === 'ICMP')
    throw new Error(`service ${nameOf(service)} answers no ICMP; ask about one of its ports`);
  const { port: own, ends } = findBackends(known, service, protocol, port);
  const asked = isIp(question.destination) ? ipFamily(parseIp(question.destination)) : undefined;
  const meant = asked === undefined ? ends : ends.filter(({ ip }) => ipFamily(ip) === asked);
  return { ways: trace(meant), service: { name: nameOf(service), port: own } };
}

/** Addresses whose policies are asked. */
export function concernedBy({ ways }: Asked): Set<Ip> {
  return new Set(
    ways.flatMap(({ legs }) =>
      DIRECTIONS.flatMap((direction) => {
        const leg = legs[direction];
        return leg === undefined ? [] : [direction === 'egress' ? leg.source : leg.destination];
      }),
    ),
  );
}

/** What a side's policies say of a connection as that side sees it. */
export type Judge = (direction: Direction, leg: Leg, protocol: Protocol | 'ICMP') => SideVerdict;

export function answerFlow({ ways, service }: Asked, judge: Judge): Explanation {
  const all = ways.map((way) => answerOf(way, judge));
  if (service === undefined) return { answers: all };
  const worst = Map.groupBy(all, ({ family }) => family);
  return {
    answers: [...worst.values()].map((some) => some.find(({ verdict }) => verdict !== 'allowed') ?? some[0]!),
    service: {
      ...service,
      backends: all.map(({ destination, destinationPod, port, verdict }) => ({
        ip: destination,
        port: port!,
        ...(destinationPod === undefined ? {} : { pod: destinationPod }),
        verdict,
      })),
    },
  };
}

function readProtocol(text: string): Protocol | 'ICMP' {
  const protocol = [...PROTOCOLS, 'ICMP' as const].find((one) => one === text.toUpperCase());
  if (protocol !== undefined) return protocol;
  throw new Error(`protocol: ${JSON.stringify(text)} is unknown; use one of tcp, udp, sctp, icmp`);
}

/** @throws Error where nothing can send from there. */
function checkSource(text: string, { place }: End): void {
  const refuse = (why: string) => new Error(`source: ${text} ${why}`);
  switch (place.at) {
    case 'loopback':
      throw refuse('is the loopback of each pod and node alike; name the pod or node');
    case 'multicast':
    case 'broadcast':
      throw refuse('is an address of many, from which no packet comes; name a pod, a node, or one address');
    case 'link-local':
      throw refuse('means something on one link alone; name the pod or node');
    case 'no-pod':
      throw refuse(`is in the range of node ${place.node}, and no pod has it, so that nothing comes from it`);
    case 'no-node':
      throw refuse(`is in the pod network, and no node has its range, so that nothing comes from it`);
    case 'pod':
    case 'node':
    case 'no-route':
    case 'outside':
      return;
  }
}

type Pair = { source: End; destination: End };

/** Of one family each. @throws Error where there are none. */
function pairUp(from: readonly End[], to: readonly End[], { source, destination, family }: Question): Pair[] {
  const pairs = to
    .flatMap((end): Pair[] => {
      const own = from.find(({ ip }) => ipFamily(ip) === ipFamily(end.ip));
      return own === undefined ? [] : [{ source: own, destination: end }];
    })
    .filter((pair) => family === undefined || ipFamily(pair.destination.ip) === family)
    .toSorted((a, b) => ipFamily(a.destination.ip) - ipFamily(b.destination.ip));
  if (pairs.length > 0) return pairs;
  throw new Error(
    family === undefined
      ? `${source} and ${destination} have no address of one family`
      : `--family: ${source} and ${destination} do not both have an address of IPv${family}`,
  );
}

function wayOf(known: Known, { source, destination }: Pair, protocol: Protocol | 'ICMP'): Way {
  const { place, ip, port } = destination;
  const from = nodeOf(source.place);
  const base = { source, destination, protocol };
  const leg = (to: { ip: Ip; port?: number } = destination, as: Ip = source.ip): Leg => ({
    source: as,
    destination: to.ip,
    ...(to.port === undefined ? {} : { port: to.port }),
  });
  const egress = source.place.at === 'pod' ? { egress: leg() } : {};
  if (source.ip === ip && place.at !== 'node')
    return { ...base, legs: {}, passes: 'itself', isReachable: true };
  switch (place.at) {
    case 'loopback': {
      const translated =
        source.place.at === 'node' && ipFamily(ip) === 4
          ? findHostPort(known, source.place.node, { ip, protocol, port })
          : undefined;
      if (translated === undefined) return { ...base, legs: {}, passes: 'itself', isReachable: true };
      return { ...base, translated, legs: {}, passes: 'own-node', isReachable: true };
    }
    case 'multicast':
    case 'broadcast':
    case 'link-local':
    case 'no-pod':
    case 'no-node':
    case 'no-route':
      return { ...base, legs: egress, isReachable: false };
    case 'outside':
      return { ...base, legs: egress, isReachable: true };
    case 'pod':
      if (source.place.at === 'node' && from === place.node)
        return { ...base, legs: {}, passes: 'own-node', isReachable: true };
      return { ...base, legs: { ...egress, ingress: leg() }, isReachable: true };
    case 'node': {
      const translated = findHostPort(known, place.node, { ip, protocol, port });
      if (translated === undefined)
        return source.place.at === 'node' && from === place.node
          ? { ...base, legs: {}, passes: 'itself', isReachable: true }
          : { ...base, legs: egress, isReachable: true };
      if (from === place.node) {
        // Translated before either side's policies see it.
        if (source.place.at === 'node')
          return { ...base, translated, legs: {}, passes: 'own-node', isReachable: true };
        if (translated.ip === source.ip)
          return { ...base, translated, legs: {}, passes: 'itself', isReachable: true };
        const seen = leg(translated);
        return { ...base, translated, legs: { egress: seen, ingress: seen }, isReachable: true };
      }
      const ingress = leg(translated, seenFrom(known, source, ip));
      return { ...base, translated, legs: { ...egress, ingress }, isReachable: true };
    }
  }
}

/** The source that another node sees: pods keep theirs towards all by which nodes know each other. */
function seenFrom({ nodes, podNetwork }: Known, { ip, place }: End, to: Ip): Ip {
  if (place.at !== 'pod') return ip;
  const isKept =
    podNetwork.some((range) => cidrContains(range, to)) ||
    nodes.some(({ internalIps }) => internalIps.includes(to));
  if (isKept) return ip;
  const home = nodes.find(({ name }) => name === place.node);
  return home?.internalIps.find((one) => ipFamily(one) === ipFamily(ip)) ?? ip;
}

function answerOf(way: Way, judge: Judge): Answer {
  const { source, destination, protocol, translated, legs, passes, isReachable } = way;
  const sideOf = (direction: Direction): Side => {
    if (passes === 'itself') return ITSELF;
    if (passes === 'own-node') return { allowed: true, reason: { code: 'own-node' }, policies: [] };
    const leg = legs[direction];
    if (leg === undefined)
      return { allowed: true, reason: { code: 'not-isolated', direction }, policies: [] };
    return { ...judge(direction, leg, protocol), ...leg };
  };
  const [sourcePod, destinationPod] = [podOf(source.place), podOf(destination.place)];
  return {
    ...identifyFlow(protocol, { ip: source.ip }, destination),
    ...(sourcePod === undefined ? {} : { sourcePod }),
    ...(destinationPod === undefined ? {} : { destinationPod }),
    ...decideBoth(isReachable, sideOf('egress'), sideOf('ingress')),
    sourcePlace: source.place,
    destinationPlace: destination.place,
    ...(translated === undefined ? {} : { translated }),
  };
}

/** What follows from both sides: the one that denies it decides, else the one that is reached. */
export function decideBoth(isReachable: boolean, egress: Side, ingress: Side) {
  const direction: Direction = egress.allowed ? 'ingress' : 'egress';
  const { policies, reason } = egress.allowed ? ingress : egress;
  const allowed = egress.allowed && ingress.allowed;
  const verdict: Verdict = !isReachable ? 'unreachable' : allowed ? 'allowed' : 'denied';
  return { verdict, ...(policies.length === 0 ? {} : { direction, policies }), reason, egress, ingress };
}

function podOf(place: Place): string | undefined {
  return place.at === 'pod' || place.at === 'node' ? place.pod : undefined;
}
