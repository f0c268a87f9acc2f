/** ICMP echoes of one family. No process is started for them, and nothing waits: answers are fetched when it suits. */
import { FairleadError } from '../../base/errors/errors.ts';
import { type Ip, type IpFamily, ipFromBytes, ipToBytes } from '../../base/ip/ip.ts';
import { native } from '../netlink/native.ts';

export type EchoSocket = {
  /** @throws Error with `code` where the kernel refuses: there is no route, say. */
  send(address: Ip, token: number): void;
  /** What has come since from those who were asked; an answer of another address is none, whatever its token. */
  receive(): { token: number; seconds: number }[];
  [Symbol.dispose](): void;
};

/** Far more than wait for an answer at a time. */
const MOST_ASKED = 4096;

/** @throws FairleadError FL_PROBE */
export function openEchoSocket(family: IpFamily): EchoSocket {
  const fd = open(family);
  /** Who was asked, by token; in the order of asking. */
  const asked = new Map<number, Ip>();
  return {
    send: (address, token) => {
      native.sendEcho(fd, Buffer.from(ipToBytes(address)), token);
      asked.delete(token);
      asked.set(token, address);
      for (const old of asked.keys()) {
        if (asked.size <= MOST_ASKED) break;
        asked.delete(old);
      }
    },
    receive: () =>
      native.receiveEchoes(fd).flatMap(({ token, seconds, from }) => {
        if (asked.get(token) !== ipFromBytes(from)) return [];
        asked.delete(token);
        return [{ token, seconds }];
      }),
    [Symbol.dispose]: () => native.closeFd(fd),
  };
}

function open(family: IpFamily): number {
  try {
    return native.openEcho(family);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new FairleadError(
      'FL_PROBE',
      `other nodes are not probed over IPv${family} (${code}): give the agent CAP_NET_RAW, or its group a place in the ` +
        'setting net.ipv4.ping_group_range of the node, or set probes.intervalSeconds to 0',
      { cause: error },
    );
  }
}
