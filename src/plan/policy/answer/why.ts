/** Why a connection is allowed or denied, in words: whose side decides, by which policy and rule. */
import { ipFamily, isIp, parseIp } from '../../../base/ip/ip.ts';
import { nameOf } from '../compile/clause.ts';
import { compile } from '../compile/compile.ts';
import { evaluate, type FlowVerdict } from '../compile/evaluate.ts';
import { PROTOCOLS, type Protocol } from '../parse/objects.ts';
import { type End, findBackends, findEnds, findService, type Known } from './ends.ts';

/** Each end is an address, or a pod as `namespace/name` (`default` where only a name is given), `node/…`, `svc/…`. */
export type Question = { source: string; destination: string; protocol: string; port?: number };

export type Explanation = FlowVerdict & {
  source: End;
  destination: End;
  protocol: Protocol | 'ICMP';
  port?: number;
  /** The destination is a backend of it: one that is denied, where any is. */
  service?: { name: string; port: number; backends: readonly string[]; denied: readonly string[] };
};

/** @throws Error with the field and the cure. */
export function explainFlow(known: Known, question: Question): Explanation {
  const protocol = [...PROTOCOLS, 'ICMP' as const].find((one) => one === question.protocol.toUpperCase());
  if (protocol === undefined)
    throw new Error(
      `protocol: ${JSON.stringify(question.protocol)} is unknown; use one of tcp, udp, sctp, icmp`,
    );
  const { port } = question;
  const isPort = port !== undefined && Number.isInteger(port) && port >= 1 && port <= 65_535;
  if (port !== undefined && !isPort) throw new Error(`port: ${port} is not a port; name one from 1 to 65535`);
  if (findService(known, question.source) !== undefined)
    throw new Error(`source: ${question.source} is a service, which begins no connection; name a pod`);
  const from = findEnds(known, question.source);
  const service = findService(known, question.destination);
  if (service === undefined) {
    if (protocol !== 'ICMP' && port === undefined)
      throw new Error('port: nothing is not a port; name one from 1 to 65535');
    const ends = findEnds(known, question.destination).map((end) => ({ ...end, port }));
    return explainPairs(known, pairUp(from, ends, question).slice(0, 1), protocol)[0]!;
  }
  if (protocol === 'ICMP')
    throw new Error(`service ${nameOf(service)} answers no ICMP; ask about one of its ports`);
  const { port: own, ends } = findBackends(known, service, protocol, port);
  const asked = isIp(question.destination) ? ipFamily(parseIp(question.destination)) : undefined;
  const meant = asked === undefined ? ends : ends.filter(({ ip }) => ipFamily(ip) === asked);
  const all = explainPairs(known, pairUp(from, meant, question), protocol);
  const denied = all.filter(({ allowed }) => !allowed);
  const describe = (some: readonly Explanation[]) =>
    some.map(({ destination: { pod, ip, port: target } }) => `${pod} ${ip} port ${target}`);
  return {
    ...(denied[0] ?? all[0]!),
    service: { name: nameOf(service), port: own, backends: describe(all), denied: describe(denied) },
  };
}

type Pair = { source: End; destination: End };

/** Of one family each. */
function pairUp(from: readonly End[], to: readonly End[], { source, destination }: Question): Pair[] {
  const pairs = to.flatMap((end): Pair[] => {
    const own = from.find(({ ip }) => ipFamily(ip) === ipFamily(end.ip));
    return own === undefined ? [] : [{ source: own, destination: end }];
  });
  if (pairs.length === 0) throw new Error(`${source} and ${destination} have no address of one family`);
  return pairs;
}

function explainPairs(known: Known, pairs: readonly Pair[], protocol: Protocol | 'ICMP'): Explanation[] {
  const concerned = new Set(pairs.flatMap(({ source, destination }) => [source.ip, destination.ip]));
  const compiled = compile(known, ({ podIPs }) => podIPs.some((ip) => concerned.has(ip)));
  return pairs.map(({ source, destination }) => {
    const { port } = destination;
    const asked = { protocol, ...(port === undefined ? {} : { port }) };
    const verdict = isNodeAndItsPod(source, destination)
      ? ITS_OWN_POD
      : evaluate(compiled, { source: source.ip, destination: destination.ip, ...asked });
    return { ...verdict, ...asked, source, destination };
  });
}

/** Probes of a kubelet always pass: nothing is forwarded. */
function isNodeAndItsPod(source: End, destination: End): boolean {
  return (
    source.on !== undefined &&
    source.on === destination.on &&
    (source.node === undefined) !== (destination.node === undefined)
  );
}

const OWN_SIDE = { allowed: true, because: 'a node and its own pods always reach each other', policies: [] };
const ITS_OWN_POD: FlowVerdict = { allowed: true, egress: OWN_SIDE, ingress: OWN_SIDE };

export function formatExplanation({
  allowed,
  egress,
  ingress,
  source,
  destination,
  protocol,
  port,
  service,
}: Explanation): string {
  const what = `${protocol}${port === undefined ? '' : ` ${port}`}`;
  const line = (name: string, passes: boolean, because: string) =>
    `  ${name.padEnd(8)}${passes ? 'allowed' : 'DENIED '}  ${because}`;
  const side = (name: string, { allowed: passes, because, proposed }: FlowVerdict['egress']) =>
    [
      line(name, passes, because),
      ...(proposed === undefined ? [] : [line('staged', proposed.allowed, proposed.because)]),
    ].join('\n');
  return [
    `${allowed ? 'Allowed' : 'Denied'}: ${describeEnd(source)} → ${describeEnd(destination)}, ${what}`,
    ...(service === undefined ? [] : [describeService(service)]),
    side('egress', egress),
    side('ingress', ingress),
    '',
  ].join('\n');
}

function describeEnd({ ip, pod, node }: End): string {
  if (pod !== undefined) return `${pod} (${ip})`;
  return node === undefined ? ip : `node ${node} (${ip})`;
}

const MOST_SHOWN = 5;

function describeService({ name, port, backends, denied }: NonNullable<Explanation['service']>): string {
  const listed = backends.slice(0, MOST_SHOWN).join(', ');
  const more = backends.length > MOST_SHOWN ? `, and ${backends.length - MOST_SHOWN} more` : '';
  const verdict =
    denied.length === 0 || denied.length === backends.length
      ? ''
      : `; ${denied.length} of ${backends.length} denied: ${denied.slice(0, MOST_SHOWN).join(', ')}`;
  return `  service ${name} port ${port} leads to ${listed}${more}: policies see these addresses, not the service's${verdict}`;
}
