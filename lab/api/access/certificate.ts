/** A certificate that signs itself (RFC 5280, version 3, ECDSA P-256 with SHA-256), for servers of a lab. */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { type Ip, ipToBytes } from '../../../src/base/ip/ip.ts';
import {
  bitString,
  boolean,
  context,
  generalizedTime,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  setOfOne,
  utf8String,
} from './der.ts';

export type KeyPair = {
  /** PEM. */
  certificate: string;
  /** PEM, PKCS#8. */
  key: string;
};

const DAY_MS = 86_400_000;
const YEARS_MS = 3650 * DAY_MS;
const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
const COMMON_NAME = '2.5.4.3';
const SUBJECT_ALT_NAME = '2.5.29.17';
const BASIC_CONSTRAINTS = '2.5.29.19';

/** @param now milliseconds since 1970; it is valid from the day before, for ten years. */
export function selfSignedCertificate(
  name: string,
  hosts: { names: readonly string[]; ips: readonly Ip[] },
  now: number,
): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = sequence(objectIdentifier(ECDSA_WITH_SHA256));
  const subject = sequence(setOfOne(sequence(objectIdentifier(COMMON_NAME), utf8String(name))));
  const alternatives = [
    ...hosts.names.map((host) => context(2, false, Buffer.from(host))),
    ...hosts.ips.map((ip) => context(7, false, Buffer.from(ipToBytes(ip)))),
  ];
  const body = sequence(
    context(0, true, integer(Buffer.of(2))),
    integer(Buffer.concat([Buffer.of(0x40), randomBytes(15)])),
    algorithm,
    subject,
    sequence(generalizedTime(now - DAY_MS), generalizedTime(now + YEARS_MS)),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    context(
      3,
      true,
      sequence(
        extension(BASIC_CONSTRAINTS, sequence(boolean(true)), true),
        extension(SUBJECT_ALT_NAME, sequence(...alternatives), false),
      ),
    ),
  );
  const signature = sign('sha256', body, privateKey);
  return {
    certificate: pem('CERTIFICATE', sequence(body, algorithm, bitString(signature))),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

function extension(id: string, value: Buffer, critical: boolean): Buffer {
  return sequence(objectIdentifier(id), ...(critical ? [boolean(true)] : []), octetString(value));
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
