/** What all codecs have in common: what they write they read, and no bytes at all make them fail otherwise than said. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type Cidr, makeCidr } from '../../../base/ip/cidr.ts';
import { familyBits, type Ip, type IpFamily, ipFromBytes } from '../../../base/ip/ip.ts';
import { macFromBytes } from '../../../base/ip/mac.ts';
import type {
  Address,
  FdbEntry,
  LinkChange,
  Neighbor,
  Qdisc,
  Redirect,
  Route,
  Rule,
  TokenBucket,
  Vxlan,
} from '../objects.ts';
import { readAddress, writeAddress } from './address.ts';
import { Attributes, NetlinkDecodeError, Writer } from './attribute.ts';
import { readLink, writeLinkChange, writeNewLink } from './link.ts';
import { readError, readMessages } from './message.ts';
import { readFdbEntry, readNeighbor, writeFdbEntry, writeNeighbor } from './neighbor.ts';
import { readNetconf } from './netconf.ts';
import { readQdisc, readTcLink, writeQdisc } from './qdisc.ts';
import { readRedirect, writeRedirect } from './redirect.ts';
import { readRoute, writeRoute } from './route.ts';
import { readRule, writeRule } from './rule.ts';
import { readVxlan, writeVxlan } from './vxlan.ts';

/** linux/if_addr.h. */
const IFA_F_NODAD = 2;

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const index = fc.integer({ min: 1, max: 2 ** 31 - 1 });
const u8 = fc.integer({ min: 0, max: 255 });
const mac = fc.uint8Array({ minLength: 6, maxLength: 6 }).map(macFromBytes);
const family = fc.constantFrom<IpFamily>(4, 6);
const ipOf = (of: IpFamily): fc.Arbitrary<Ip> => {
  const length = familyBits(of) / 8;
  return fc.uint8Array({ minLength: length, maxLength: length }).map(ipFromBytes);
};
const rangeOf = (of: IpFamily): fc.Arbitrary<Cidr> =>
  fc.tuple(ipOf(of), fc.integer({ min: 0, max: familyBits(of) })).map(([ip, length]) => makeCidr(ip, length));
/** Optional fields are absent rather than undefined. */
const record = <T extends object, K extends keyof T>(
  model: { [P in keyof T]-?: fc.Arbitrary<Exclude<T[P], undefined>> },
  requiredKeys: K[],
) => fc.record(model, { requiredKeys, noNullPrototype: true });

const address = family.chain((of) =>
  record<Address, keyof Address>(
    {
      linkIndex: index,
      ip: ipOf(of),
      prefixLength: fc.integer({ min: 0, max: familyBits(of) }),
      scope: u8,
      // The codec writes no others.
      flags: fc.constant(of === 4 ? 0 : IFA_F_NODAD),
    },
    ['linkIndex', 'ip', 'prefixLength', 'scope', 'flags'],
  ),
);
const route = family.chain((of) =>
  record<Route, 'destination' | 'table' | 'protocol' | 'type' | 'scope'>(
    {
      destination: rangeOf(of),
      table: u32,
      protocol: u8,
      type: fc.constantFrom('unicast', 'blackhole', 'unreachable', 'prohibit'),
      scope: u8,
      gateway: ipOf(of),
      linkIndex: index,
      source: ipOf(of),
      metric: u32,
      mtu: u32,
      onLink: fc.constant(true),
    },
    ['destination', 'table', 'protocol', 'type', 'scope'],
  ),
);
const neighbor = family.chain((of) =>
  record<Neighbor, 'linkIndex' | 'ip' | 'state'>(
    { linkIndex: index, ip: ipOf(of), state: fc.integer({ min: 0, max: 0xffff }), mac },
    ['linkIndex', 'ip', 'state'],
  ),
);
const fdbEntry = family.chain((of) =>
  record<FdbEntry, 'linkIndex' | 'mac' | 'state'>(
    { linkIndex: index, mac, destination: ipOf(of), state: fc.integer({ min: 0, max: 0xffff }) },
    ['linkIndex', 'mac', 'state'],
  ),
);
const rule = family.chain((of) =>
  record<Rule, 'family' | 'priority' | 'table' | 'protocol'>(
    {
      family: fc.constant(of),
      priority: u32,
      table: u32,
      protocol: u8,
      from: rangeOf(of),
      to: rangeOf(of),
      inputLink: fc.stringMatching(/^[a-z]{1,15}$/),
      fwmark: u32,
      fwmask: u32,
    },
    ['family', 'priority', 'table', 'protocol'],
  ),
);
const vxlan = family.chain((of) =>
  record<Vxlan, 'vni' | 'port' | 'learning'>(
    {
      vni: fc.integer({ min: 0, max: 2 ** 24 - 1 }),
      port: fc.integer({ min: 0, max: 65535 }),
      learning: fc.boolean(),
      local: ipOf(of),
      lowerIndex: index,
      udpChecksum: fc.boolean(),
    },
    ['vni', 'port', 'learning'],
  ),
);

const bucket = record<TokenBucket, keyof TokenBucket>(
  { rate: fc.integer({ min: 1, max: 2 ** 50 }), burst: u32, limit: u32 },
  ['rate', 'burst', 'limit'],
);
const qdisc = record<Qdisc, keyof Qdisc>(
  { linkIndex: index, parent: u32, kind: fc.constant('tbf'), tbf: bucket },
  ['linkIndex', 'parent', 'kind', 'tbf'],
);
const redirect = record<Redirect, keyof Redirect>(
  { linkIndex: index, priority: fc.integer({ min: 1, max: 65535 }), to: index },
  ['linkIndex', 'priority', 'to'],
);

/** What is written equals what is read. */
function roundTrips<T>(
  name: string,
  values: fc.Arbitrary<T>,
  write: (writer: Writer, value: T) => void,
  read: (payload: Buffer) => T | undefined,
): void {
  void test(`${name}: what was written is read again`, () => {
    fc.assert(
      fc.property(values, (value) => {
        const writer = new Writer();
        write(writer, value);
        assert.deepEqual(read(writer.finish()), value);
      }),
    );
  });
}

roundTrips('address', address, writeAddress, readAddress);
roundTrips('route', route, writeRoute, readRoute);
roundTrips('neighbor', neighbor, writeNeighbor, readNeighbor);
roundTrips('forwarding entry', fdbEntry, writeFdbEntry, readFdbEntry);
roundTrips('rule', rule, writeRule, readRule);
roundTrips('qdisc', qdisc, writeQdisc, readQdisc);
roundTrips('redirect', redirect, writeRedirect, readRedirect);
roundTrips('vxlan', vxlan, writeVxlan, (payload) => readVxlan(new Attributes(payload)));

void test('link: what is asked for is read again', () => {
  const writer = new Writer();
  writeNewLink(writer, {
    index: 12,
    name: 'fl-vxlan',
    mac: macFromBytes(Uint8Array.of(2, 0, 0, 0, 0, 1)),
    mtu: 1450,
    group: 64016,
    up: true,
    kind: { type: 'vxlan', vni: 1, port: 4789, learning: false, udpChecksum: false },
  });
  writer.textAttribute(20, 'an alias');
  writer.nested(52, () => writer.textAttribute(53, 'first').textAttribute(53, 'second'));
  assert.deepEqual(readLink(writer.finish()), {
    index: 12,
    name: 'fl-vxlan',
    kind: 'vxlan',
    mac: '02:00:00:00:00:01',
    mtu: 1450,
    up: true,
    running: false,
    loopback: false,
    group: 64016,
    alias: 'an alias',
    altNames: ['first', 'second'],
    vxlan: { vni: 1, port: 4789, learning: false, udpChecksum: false },
  });
});

void test('link: a change writes the fields that it has, and no others', () => {
  // struct ifinfomsg: family, type, index, flags, mask of the flags that count.
  assert.equal(hexOfChange({ index: 7 }), hex('00000000 07000000 00000000 00000000'));
  assert.equal(hexOfChange({ index: 7, up: true }), hex('00000000 07000000 01000000 01000000'));
  assert.equal(hexOfChange({ index: 7, up: false }), hex('00000000 07000000 00000000 01000000'));
  assert.equal(
    hexOfChange({ index: 7, ipv4: { rpFilter: 2 } }).slice(32),
    // AF_SPEC of AF_INET of INET_CONF of rp_filter.
    hex('14001a80 10000280 0c000180 08000800 02000000'),
  );
});

function hexOfChange(change: LinkChange): string {
  const writer = new Writer();
  writeLinkChange(writer, change);
  return writer.finish().toString('hex');
}

const READERS: Record<string, (payload: Buffer) => unknown> = {
  link: readLink,
  address: readAddress,
  route: readRoute,
  neighbor: readNeighbor,
  fdb: readFdbEntry,
  rule: readRule,
  netconf: readNetconf,
  qdisc: readQdisc,
  redirect: readRedirect,
  queueOf: readTcLink,
  messages: (payload) => [...readMessages(payload)],
  error: (payload) => readError({ type: 2, flags: 0x200, sequence: 0, portId: 0, payload }),
  cappedError: (payload) => readError({ type: 2, flags: 0x300, sequence: 0, portId: 0, payload }),
  end: (payload) => readError({ type: 3, flags: 0x202, sequence: 0, portId: 0, payload }),
};

/** Headers and attributes that are nearly right get further into a decoder than noise does. */
const plausible = fc
  .tuple(
    fc.uint8Array({ minLength: 12, maxLength: 16 }),
    fc.constantFrom(0, 2, 7, 10),
    fc.array(fc.tuple(fc.integer({ min: 0, max: 60 }), fc.uint8Array({ maxLength: 40 }))),
  )
  .map(([header, familyByte, attributes]) => {
    const writer = new Writer().bytes(header.with(0, familyByte));
    for (const [type, payload] of attributes) writer.attribute(type, payload);
    return writer.finish();
  });
const noise = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));

for (const [name, read] of Object.entries(READERS)) {
  void test(`${name}: any bytes are read, skipped or a NetlinkDecodeError`, () => {
    fc.assert(
      fc.property(fc.oneof(noise, plausible), (bytes) => {
        try {
          read(bytes);
        } catch (error) {
          if (!(error instanceof NetlinkDecodeError)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });
}

/** Hexadecimal digits, spaced for the reader. */
function hex(text: string): string {
  return text.replaceAll(' ', '');
}
