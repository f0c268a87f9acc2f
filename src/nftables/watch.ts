/** Notifications that some ruleset of this namespace changed (NFNLGRP_NFTABLES), whoever changed it. */
import { native } from '../netlink/native.ts';

const NETLINK_NETFILTER = 12;
const NFNLGRP_NFTABLES = 7;

export function watchRulesets(onChange: () => void): { [Symbol.dispose](): void } {
  const socket = native.openSocket(NETLINK_NETFILTER, -1, [NFNLGRP_NFTABLES]);
  const stop = native.watch(socket.fd, () => onChange());
  return {
    [Symbol.dispose]: () => {
      stop();
      native.closeFd(socket.fd);
    },
  };
}
