/** Why a connection is allowed or denied, in words: whose side decides, by which policy and rule. */
import { ipFamily } from '../ip/ip.ts';
import { nameOf } from './clause.ts';
import { compile } from './compile.ts';
import { type End, findBackends, findEnds, findService, type Known } from './ends.ts';
import { evaluate, type FlowVerdict } from './evaluate.ts';
import { PROTOCOLS, type Protocol } from './objects.ts';

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
  const service = findService(known, question.destination);
  if (service !== undefined && protocol !== 'ICMP') {
    const { port: own, ends } = findBackends(known, service, protocol, port);
    const all = ends.map((end) => ({ end, ...explainEnds(known, question, [end], protocol, end.port) }));
    const denied = all.filter(({ allowed }) => !allowed);
    const { end: _, ...shown } = denied[0] ?? all[0]!;
    const describe = (some: typeof all) => some.map(({ end }) => `${end.pod} ${end.ip} port ${end.port}`);
    return {
      ...shown,
      service: { name: nameOf(service), port: own, backends: describe(all), denied: describe(denied) },
    };
  }
  if (service !== undefined) throw new Error(`service ${nameOf(service)} answers no ICMP; ask about a port`);
  if (protocol !== 'ICMP' && port === undefined)
    throw new Error('port: nothing is not a port; name one from 1 to 65535');
  return explainEnds(known, question, findEnds(known, question.destination), protocol, port);
}

function explainEnds(
  known: Known,
  question: Question,
  to: readonly End[],
  protocol: Protocol | 'ICMP',
  port: number | undefined,
): Explanation {
  const from = findEnds(known, question.source);
  const source = from.find((end) => to.some(({ ip }) => ipFamily(ip) === ipFamily(end.ip)));
  const destination = to.find(({ ip }) => source !== undefined && ipFamily(ip) === ipFamily(source.ip));
  if (source === undefined || destination === undefined)
    throw new Error(`${question.source} and ${question.destination} have no address of one family`);
  const flow = {
    source: source.ip,
    destination: destination.ip,
    protocol,
    ...(port === undefined ? {} : { port }),
  };
  const concerned = new Set([source.ip, destination.ip]);
  const compiled = compile(known, ({ podIPs }) => podIPs.some((ip) => concerned.has(ip)));
  const verdict = isNodeAndItsPod(source, destination) ? ITS_OWN_POD : evaluate(compiled, flow);
  return { ...verdict, ...flow, source, destination };
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
