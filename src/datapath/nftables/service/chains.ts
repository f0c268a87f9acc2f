/**
 * The rules: a lookup by address, protocol and port says how many endpoints there are, and the chain for that number
 * draws one. NAT chains see the first packet of a connection alone, so that is all that services cost later ones.
 */
import { type IpFamily, ipFamily } from '../../../base/ip/ip.ts';
import type { Chain, Rule } from '../../../edge/nftables/objects.ts';
import { ATTACHMENT_GROUP } from '../../../plan/pod/attachment.ts';
import { IP_WORDS, type ServiceTableOptions } from './objects.ts';

/** Before what others translate: a NodePort precedes a hostPort of the same number. */
const DNAT_PRIORITY = '-105';
const SNAT_PRIORITY = '95';
/** Before any table exempts packets from tracking. */
const BEFORE_RAW = '-310';
const TRANSLATED = ['tcp', 'udp', 'sctp'] as const;
export const TRANSLATABLE = `meta l4proto { ${TRANSLATED.join(', ')} }`;

const FROM_POD = `iifgroup ${ATTACHMENT_GROUP}`;

/** Chains that the kernel calls: what leads packets into the table. */
export function baseChains(options: ServiceTableOptions): Chain[] {
  const { families } = options;
  const either = (name: string) => {
    const goals = families.map((family) => `ipv${family} : goto ${name}${family}`);
    return `meta nfproto vmap { ${goals.join(', ')} }`;
  };
  const strays: Rule[] = families.map((family) => ({
    match: `ct state invalid ${IP_WORDS[family]} saddr . meta l4proto . th sport @backends${family} drop`,
    comment: 'would reach the client untranslated',
  }));
  const leaks: Rule[] = families.map((family) => ({
    match: `ct state invalid,untracked ${IP_WORDS[family]} daddr @ranges${family} drop`,
    comment: 'service addresses are not routed',
  }));
  const filter = (hook: 'input' | 'forward' | 'output', rules: Rule[]): Chain => ({
    name: `stray-${hook}`,
    hook: { type: 'filter', hook, priority: '-10' },
    rules,
  });
  return [
    early(options),
    {
      name: 'arrive',
      hook: { type: 'nat', hook: 'prerouting', priority: DNAT_PRIORITY },
      rules: [{ match: either('arrive') }],
    },
    {
      name: 'depart',
      hook: { type: 'nat', hook: 'output', priority: DNAT_PRIORITY },
      rules: [{ match: either('inside') }],
    },
    {
      name: 'leave',
      hook: { type: 'nat', hook: 'postrouting', priority: SNAT_PRIORITY },
      rules: [{ match: `ct status dnat ${either('leave')}` }],
    },
    filter('input', strays),
    filter('forward', [...strays, ...leaks]),
    filter('output', leaks),
  ];
}

/**
 * Answers of an endpoint must be translated back, so both its directions are tracked, though another table exempts what
 * pods send each other. A packet that has its zone is not exempted any more (nft_notrack_eval of
 * net/netfilter/nft_ct.c), and zone 0 is the one that it would be in anyway.
 */
function early({ families }: ServiceTableOptions): Chain {
  const rules = families.flatMap((family): Rule[] =>
    ['saddr . meta l4proto . th sport', 'daddr . meta l4proto . th dport'].map((end) => ({
      match: `${IP_WORDS[family]} ${end} @backends${family} ct zone set 0`,
    })),
  );
  return { name: 'early', hook: { type: 'filter', hook: 'prerouting', priority: BEFORE_RAW }, rules };
}

/** Chains that are there whatever the services. */
export function commonChains({ families, nodeIps, nodePortRange }: ServiceTableOptions): Chain[] {
  const refuse = { name: 'refuse', rules: [{ match: 'reject with icmpx type port-unreachable' }] };
  return [
    refuse,
    ...families.flatMap((family): Chain[] => {
      const ip = IP_WORDS[family];
      const key = addressKey(family);
      const node = (map: string): Rule => ({
        match: `${ip} daddr @node-ips${family} meta l4proto . th dport vmap @${map}${family}`,
      });
      const guarded = { match: `${key} vmap @guarded${family}` };
      const led = { match: `${key} vmap @services${family}` };
      const unknown = { match: `goto unknown${family}` };
      const source = nodeIps.find((candidate) => ipFamily(candidate) === family);
      const ports = sourcePorts(nodePortRange);
      const snat =
        source === undefined
          ? `masquerade to :${ports} fully-random`
          : `snat ${ip} to ${family === 4 ? source : `[${source}]`}:${ports} fully-random`;
      const original = (protocol: string) => `meta l4proto ${protocol} ct original ${ip} daddr`;
      return [
        {
          name: `arrive${family}`,
          rules: [
            { match: `${FROM_POD} goto inside${family}` },
            guarded,
            { match: `${key} vmap @outside${family}` },
            led,
            node('node-outside'),
            node('node-services'),
            unknown,
          ],
        },
        { name: `inside${family}`, rules: [guarded, led, node('node-services'), unknown] },
        {
          name: `unknown${family}`,
          rules: [
            { match: `${ip} daddr @cluster-ips${family} goto refuse` },
            { match: `${ip} daddr @ranges${family} drop` },
          ],
        },
        {
          name: `guard${family}`,
          rules: [{ match: `${key} . ${ip} saddr @allowed${family} return` }, { match: 'drop' }],
        },
        {
          name: `restored${family}`,
          rules: [{ match: `${ip} saddr set ct original ${ip} saddr` }, { match: `goto chosen${family}` }],
        },
        {
          name: `chosen${family}`,
          rules: [
            { match: `${TRANSLATABLE} dnat ${ip} to ${ip} daddr map @targets${family}` },
            { match: 'goto refuse' },
          ],
        },
        {
          name: `leave${family}`,
          rules: [
            { match: `${ip} saddr . ${ip} daddr @hairpins${family} goto replace${family}` },
            ...TRANSLATED.map((protocol) => ({
              match: `${original(protocol)} . meta l4proto . ct original proto-dst vmap @sources${family}`,
            })),
            ...TRANSLATED.map((protocol) => ({
              match: `${original(protocol)} @node-ips${family} meta l4proto . ct original proto-dst vmap @node-sources${family}`,
            })),
          ],
        },
        {
          name: `replace-others${family}`,
          rules: [{ match: `${FROM_POD} return` }, { match: `goto replace${family}` }],
        },
        {
          name: `replace-own${family}`,
          rules: [{ match: `fib saddr type local goto replace${family}` }],
        },
        { name: `replace${family}`, rules: [{ match: `${TRANSLATABLE} ${snat}` }] },
      ];
    }),
  ];
}

export function addressKey(family: IpFamily): string {
  return `${IP_WORDS[family]} daddr . meta l4proto . th dport`;
}

/** The larger side beside the NodePorts. */
function sourcePorts({ first, last }: ServiceTableOptions['nodePortRange']): string {
  return first - 1024 >= 65_535 - last ? `1024-${first - 1}` : `${last + 1}-65535`;
}
