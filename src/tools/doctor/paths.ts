/**
 * The paths to the peers, with real packets to the gateway address of each of their ranges: it is on the peer's
 * loopback and answers as a pod's node does. An echo proves the path, one of full size the MTU, and a datagram to a
 * closed port proves that checksums are right: only then it is refused.
 */
import { type Cidr, cidrFamily, parseCidr } from '../../base/ip/cidr.ts';
import type { IpFamily } from '../../base/ip/ip.ts';
import { gatewayOf } from '../../plan/ipam/allocate.ts';
import type { Path } from '../../plan/overlay/path.ts';
import { cureOfSilence, nameOfPath } from '../../plan/overlay/silence.ts';
import { broken, type Finding, fine } from './finding.ts';

export type PeerRange = { peer: string; range: Cidr; path: Path };

/** A question to the prober: what to send where. */
export type Probe = {
  kind: 'echo' | 'full' | 'datagram' | 'connect';
  address: string;
  /** Payload bytes. */
  size: number;
};

export type Answer = {
  kind: Probe['kind'];
  ok: boolean;
  error?: string;
  /** What fits, where that was said. */
  mtu?: number;
  /** Who sent the ICMP error, where one came. */
  offender?: string;
  /** Microseconds. */
  micros: number;
};

/** IP header, and 8 bytes of ICMP or UDP. */
const HEADERS = { 4: 28, 6: 48 } as const;
const SMALL = 56;

export function peerRanges(
  peers: readonly {
    name: string;
    ranges: readonly string[];
    paths: readonly { family: IpFamily; path: Path }[];
  }[],
): PeerRange[] {
  return peers.flatMap(({ name, ranges, paths }) =>
    ranges.map((text) => {
      const range = parseCidr(text);
      const path = paths.find(({ family }) => family === cidrFamily(range))?.path;
      return { peer: name, range, path: path ?? { mode: 'none', reason: `node ${name} has no path yet` } };
    }),
  );
}

/** @param mtu of pods, in bytes. */
export function probesOf({ range, path }: PeerRange, mtu: number): Probe[] {
  if (path.mode === 'none') return [];
  const address = gatewayOf(range);
  return [
    { kind: 'echo', address, size: SMALL },
    { kind: 'full', address, size: mtu - HEADERS[cidrFamily(range)] },
    { kind: 'datagram', address, size: SMALL },
  ];
}

export function judgePath(
  { peer, range, path }: PeerRange,
  answers: readonly Answer[],
  mtu: number,
): Finding {
  const what = `path to ${peer} (${range})`;
  if (path.mode === 'none') return broken(what, path.reason, 'as it says');
  const of = (kind: Probe['kind']) => answers.find((answer) => answer.kind === kind);
  const [echo, full, datagram] = [of('echo'), of('full'), of('datagram')];
  const through = nameOfPath(path);
  if (echo?.ok !== true) return broken(what, `no answer through ${through}`, cureOfSilence(peer, path));
  if (full?.ok !== true) {
    const fits = full?.mtu === undefined ? 'nobody says what fits' : `${full.mtu} bytes fit`;
    return broken(
      what,
      `packets of ${mtu} bytes do not arrive through ${through} (${fits})`,
      'give the network between the nodes one MTU, or set the key mtu to what fits',
    );
  }
  if (datagram !== undefined && !isRefused(datagram)) {
    return broken(
      what,
      `echoes pass ${through}, datagrams do not: their checksums may be wrong, or a firewall drops UDP`,
      'switch the offload off and look again: ethtool -K fl-vxlan tx-checksum-ip-generic off',
    );
  }
  return fine(what, `${(echo.micros / 1000).toFixed(2)} ms through ${through}, ${mtu} bytes pass`);
}

/** Nothing listens there: the refusal is the answer. */
function isRefused({ ok, error }: Answer): boolean {
  return ok || /refused/i.test(error ?? '');
}
