/** Why a connection is allowed or denied, in words: whose side decides, by which policy and rule. */
import { type Ip, ipFamily, isIp, parseIp } from '../ip/ip.ts';
import { compile, type PolicyInput } from './compile.ts';
import { evaluate, type FlowVerdict } from './evaluate.ts';
import { type PolicyPod, PROTOCOLS, type Protocol } from './objects.ts';

/** Each end is an address, or a pod as `namespace/name` (`default` where only a name is given). */
export type Question = { source: string; destination: string; protocol: string; port?: number };

export type End = { ip: Ip; pod?: string };
export type Explanation = FlowVerdict & {
  source: End;
  destination: End;
  protocol: Protocol | 'ICMP';
  port?: number;
};

/** @throws Error with the field and the cure. */
export function explainFlow(input: PolicyInput, question: Question): Explanation {
  const protocol = [...PROTOCOLS, 'ICMP' as const].find((known) => known === question.protocol.toUpperCase());
  if (protocol === undefined)
    throw new Error(
      `protocol: ${JSON.stringify(question.protocol)} is unknown; use one of tcp, udp, sctp, icmp`,
    );
  const { port } = question;
  if (protocol !== 'ICMP' && (port === undefined || !Number.isInteger(port) || port < 1 || port > 65_535))
    throw new Error(`port: ${port ?? 'nothing'} is not a port; name one from 1 to 65535`);
  const [from, to] = [findEnd(input, question.source), findEnd(input, question.destination)];
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
  const compiled = compile(input, ({ podIPs }) => podIPs.some((ip) => concerned.has(ip)));
  return { ...evaluate(compiled, flow), ...flow, source, destination };
}

function findEnd({ pods }: PolicyInput, text: string): End[] {
  if (isIp(text)) {
    const ip = parseIp(text);
    const pod = pods.find(({ podIPs, hostNetwork }) => !hostNetwork && podIPs.includes(ip));
    return [{ ip, ...(pod === undefined ? {} : { pod: nameOf(pod) }) }];
  }
  const name = text.includes('/') ? text : `default/${text}`;
  const pod = pods.find((candidate) => nameOf(candidate) === name);
  if (pod === undefined)
    throw new Error(
      `${JSON.stringify(text)} is neither an address nor a pod; write NAMESPACE/NAME as kubectl shows them`,
    );
  if (pod.podIPs.length === 0) throw new Error(`pod ${name} has no address yet; wait until it runs`);
  return pod.podIPs.map((ip) => ({ ip, pod: name }));
}

function nameOf({ namespace, name }: PolicyPod): string {
  return `${namespace}/${name}`;
}

export function formatExplanation({
  allowed,
  egress,
  ingress,
  source,
  destination,
  protocol,
  port,
}: Explanation): string {
  const end = ({ ip, pod }: End) => (pod === undefined ? ip : `${pod} (${ip})`);
  const what = `${protocol}${port === undefined ? '' : ` ${port}`}`;
  const line = (name: string, passes: boolean, because: string) =>
    `  ${name.padEnd(8)}${passes ? 'allowed' : 'DENIED '}  ${because}`;
  const side = (name: string, { allowed: passes, because, proposed }: FlowVerdict['egress']) =>
    [
      line(name, passes, because),
      ...(proposed === undefined ? [] : [line('  staged', proposed.allowed, proposed.because)]),
    ].join('\n');
  return [
    `${allowed ? 'Allowed' : 'Denied'}: ${end(source)} → ${end(destination)}, ${what}`,
    side('egress', egress),
    side('ingress', ingress),
    '',
  ].join('\n');
}
