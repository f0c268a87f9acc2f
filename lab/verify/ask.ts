/** Questions between hosts of a lab, asked with real packets, and whether the answers are what they must be. */
import { concurrently } from '../concurrently.ts';
import { type ProbeOutcome, probe, type Target } from '../prober.ts';

export type Host = { name: string; namespace: string; address: string };

export const PROTOCOLS = ['tcp', 'udp', 'icmp'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

export type Question = {
  from: Host;
  /** `address` may be another one than the host's own, such as localhost. */
  to: Host;
  protocol: Protocol | 'stream';
  /** Where it is not that of the protocol. */
  port?: number;
  /** Who may answer; absent: who is asked. */
  answeredBy?: readonly string[];
  /** The source that the other end must see. */
  expectSource?: string;
  /** Payload bytes; of a stream all of them. */
  size?: number;
  dontFragment?: boolean;
  timeoutMs?: number;
};

export type Check = { what: string; ok: boolean; detail?: string };

const PORTS = { tcp: 8080, udp: 8080, icmp: 0, stream: 8081, echoLog: 8082 } as const;
/** Sources that ask at a time: each asks 128 questions at a time itself. */
const ASKERS = 6;
const PATIENCE_MS = 1500;

/** Asks all of them; the answers come in the order of the questions. */
export async function ask(questions: readonly Question[]): Promise<Check[]> {
  const outcomes = await probeAll(questions);
  const sources = await readEchoSources(questions, outcomes);
  return questions.map((question, index) => judge(question, outcomes[index]!, sources));
}

/** The raw outcomes, for proofs that look closer. */
export async function probeAll(questions: readonly Question[]): Promise<ProbeOutcome[]> {
  const outcomes: ProbeOutcome[] = questions.map((_, index) => ({
    id: String(index),
    ok: false,
    micros: 0,
    error: 'not asked',
  }));
  const bySource = Map.groupBy(questions.keys(), (index) => questions[index]!.from.namespace);
  await concurrently(bySource, ASKERS, async ([namespace, indexes]) => {
    const targets = indexes.map((index) => targetOf(index, questions[index]!));
    for (const outcome of await probe(namespace, targets)) outcomes[Number(outcome.id)] = outcome;
  });
  return outcomes;
}

function targetOf(id: number, { to, protocol, port, size, dontFragment, timeoutMs }: Question): Target {
  return {
    id,
    protocol,
    address: to.address,
    port: port ?? PORTS[protocol],
    size: size ?? (protocol === 'icmp' ? 56 : 32),
    ...(dontFragment === undefined ? {} : { dontFragment }),
    timeoutMs: timeoutMs ?? PATIENCE_MS,
  };
}

/**
 * ICMP has no answer that says whom the other end saw, so the other end keeps a list, which is read afterwards inside
 * its own namespace. @returns per host the sources by the number of the request.
 */
async function readEchoSources(
  questions: readonly Question[],
  outcomes: readonly ProbeOutcome[],
): Promise<Map<string, Map<number, string>>> {
  const hosts = new Map<string, Host>();
  for (const [index, { protocol, to, expectSource }] of questions.entries()) {
    if (protocol === 'icmp' && expectSource !== undefined && outcomes[index]!.ok) hosts.set(to.namespace, to);
  }
  const sources = new Map<string, Map<number, string>>();
  for (const { namespace } of hosts.values()) {
    const [outcome] = await probe(namespace, [
      { id: 0, protocol: 'tcp', address: '127.0.0.1', port: PORTS.echoLog, size: 0, timeoutMs: PATIENCE_MS },
    ]);
    const entries = (outcome?.answer ?? []) as { source: string; id: number }[];
    sources.set(namespace, new Map(entries.map(({ source, id }) => [id, source])));
  }
  return sources;
}

function judge(
  question: Question,
  outcome: ProbeOutcome,
  sources: ReadonlyMap<string, ReadonlyMap<number, string>>,
): Check {
  const { from, to, protocol, expectSource } = question;
  const what = `${protocol} ${from.name} → ${to.name} (${to.address})`;
  if (!outcome.ok) return { what, ok: false, detail: explainFailure(outcome) };
  const { answer } = outcome;
  if (question.answeredBy !== undefined) return judgeChoice(question, question.answeredBy, what, answer);
  if (answer?.name !== undefined && answer.name !== to.name) {
    return { what, ok: false, detail: `${answer.name} answered, not ${to.name}: both have ${to.address}` };
  }
  if (expectSource === undefined) return { what, ok: true };
  const saw = protocol === 'icmp' ? sources.get(to.namespace)?.get(answer?.id ?? -1) : answer?.sawSource;
  if (saw === expectSource) return { what, ok: true, detail: `${to.name} saw ${saw}` };
  const seen =
    saw === undefined ? 'never saw the request: somebody else answered' : `saw ${saw}, not ${expectSource}`;
  return { what, ok: false, detail: `${to.name} ${seen}` };
}

/** Of several any may answer. One that asked itself through others is seen as its node. */
function judgeChoice(
  { from, expectSource }: Question,
  answeredBy: readonly string[],
  what: string,
  answer: ProbeOutcome['answer'],
): Check {
  const { name = 'one without a name', sawSource } = answer ?? {};
  if (!answeredBy.includes(name))
    return { what, ok: false, detail: `${name} answered, which is none of ${answeredBy.join(', ')}` };
  if (expectSource === undefined || name === from.name || sawSource === expectSource)
    return { what, ok: true };
  return { what, ok: false, detail: `${name} saw ${sawSource}, not ${expectSource}` };
}

function explainFailure({ error, mtu, offender }: ProbeOutcome): string {
  const who = offender === undefined ? '' : ` (said ${offender})`;
  return `${error ?? 'failed'}${who}${mtu === undefined ? '' : `; ${mtu} bytes fit`}`;
}
