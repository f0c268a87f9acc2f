/** Addresses that lead to one host somewhere: neither loopback, link-local, multicast nor unspecified. */
import { isIp, parseIp } from '../../../src/base/ip/ip.ts';

const NONE = /^(0\.0\.0\.0|127\..*|169\.254\..*|::|::1|fe[89ab].:.*|22[4-9]\..*|23\d\..*|ff.*)$/;

export function isUnicast(text: string): boolean {
  return isIp(text) && !NONE.test(parseIp(text));
}
