/** What is answered to a question: of the cluster all there is, of the rest of the world nothing. */
import type { Answer, Packet, Question } from 'dns-packet';
import { isIp, parseIp } from '../../src/base/ip/ip.ts';
import { type DnsRecord, DOMAIN, type Zone } from './zone.ts';

/** Seconds: as long as clients may be wrong about a change. */
const TTL = 5;
/** RFC 1035 §4.1.1. */
const RCODE = { ok: 0, format: 1, unknown: 3, notImplemented: 4, refused: 5 } as const;
const AUTHORITATIVE = 1 << 10;
/** RFC 1123 §6.1.2.2: such a pod's address is its name. */
const POD = new RegExp(String.raw`^([0-9a-f-]+)\.[a-z0-9-]+\.pod\.${DOMAIN.replaceAll('.', '\\.')}$`);

export function answerTo(zone: Zone, query: Packet): Packet {
  const reply = (rcode: number, more: Partial<Packet> = {}): Packet => ({
    id: query.id ?? 0,
    type: 'response',
    // Bits that the asker set and gets back: opcode, and whether it wished recursion.
    flags: ((query.flags ?? 0) & 0x79_00) | AUTHORITATIVE | rcode,
    questions: query.questions ?? [],
    ...more,
  });
  const [question, ...others] = query.questions ?? [];
  if (question === undefined || others.length > 0) return reply(RCODE.format);
  if (((query.flags ?? 0) & 0x78_00) !== 0) return reply(RCODE.notImplemented);
  const name = question.name.toLowerCase().replace(/\.$/, '');
  if (!isOurs(name)) return reply(RCODE.refused);
  const found = zone.get(name) ?? podRecords(name);
  const authorities = [soa()];
  if (found === undefined) return reply(RCODE.unknown, { authorities });
  const records = found.filter(({ type }) => isAsked(type, question));
  if (records.length === 0) return reply(RCODE.ok, { authorities });
  const targets = records.flatMap((record) => (record.type === 'SRV' ? [record.data.target] : []));
  const additionals = [...new Set(targets)].flatMap((target) =>
    (zone.get(target) ?? []).filter(({ type }) => type === 'A' || type === 'AAAA'),
  );
  const named = records.map((record) => ({ ...toAnswer(record), name: question.name }));
  return reply(RCODE.ok, { answers: named, additionals: additionals.map(toAnswer) });
}

function isOurs(name: string): boolean {
  return [DOMAIN, 'in-addr.arpa', 'ip6.arpa'].some((zone) => name === zone || name.endsWith(`.${zone}`));
}

function isAsked(type: string, question: Question): boolean {
  const asked: string = question.type;
  return type === asked || type === 'CNAME' || asked === 'ANY';
}

function podRecords(name: string): DnsRecord[] | undefined {
  const words = POD.exec(name)?.[1];
  const ip = [words?.replaceAll('-', '.'), words?.replaceAll('-', ':')].find(
    (text) => text !== undefined && isIp(text),
  );
  if (ip === undefined) return undefined;
  return [{ name, type: ip.includes(':') ? 'AAAA' : 'A', data: parseIp(ip) }];
}

function toAnswer(record: DnsRecord): Answer {
  return { ttl: TTL, ...record };
}

/** RFC 2308 §3: how long it may be remembered that there is nothing. */
function soa(): Answer {
  const data = {
    mname: `ns.dns.${DOMAIN}`,
    rname: `hostmaster.${DOMAIN}`,
    serial: 1,
    refresh: 7200,
    retry: 1800,
    expire: 86_400,
    minimum: TTL,
  };
  return { name: DOMAIN, type: 'SOA', ttl: TTL, data };
}
