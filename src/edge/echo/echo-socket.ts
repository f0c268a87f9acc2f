/** ICMP echoes of one family. No process is started for them, and nobody waits: answers are fetched when it suits. */
import { FairleadError } from '../../base/errors/errors.ts';
import { type Ip, type IpFamily, ipToBytes } from '../../base/ip/ip.ts';
import { native } from '../netlink/native.ts';

export type EchoSocket = {
  /** @throws Error with `code` where the kernel refuses: there is no route, say. */
  send(address: Ip, token: number): void;
  /** What has come since. */
  receive(): { token: number; seconds: number }[];
  [Symbol.dispose](): void;
};

/** @throws FairleadError FL_PROBE */
export function openEchoSocket(family: IpFamily): EchoSocket {
  const fd = open(family);
  return {
    send: (address, token) => native.sendEcho(fd, Buffer.from(ipToBytes(address)), token),
    receive: () => native.receiveEchoes(fd),
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
