/** Whether the kernel can limit what pods send and receive. */
import { createNamespace } from '../namespace.ts';

/** What the kernel says to a limit; undefined where it can. */
function whatIsLacking(): string | undefined {
  using space = createNamespace('shaping');
  try {
    space.exec('ip', 'link', 'add', 'shaper0', 'up', 'type', 'ifb');
    space.exec(...'tc qdisc add dev shaper0 root tbf rate 1mbit burst 2000b limit 2000b'.split(' '));
    space.exec(...'tc qdisc add dev shaper0 clsact'.split(' '));
    space.exec(...'tc filter add dev shaper0 ingress protocol all u32 match u32 0 0'.split(' '));
    return undefined;
  } catch (error) {
    return String(error).trim();
  }
}

const lacking = whatIsLacking();

/** Options of a test that needs limits. */
export const SHAPING = lacking === undefined ? {} : { skip: `this kernel cannot limit: ${lacking}` };
