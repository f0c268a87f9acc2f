/** Listens to what the kernel reports of denied packets, remembers the latest, and tells followers. */
import { describeError, FairleadError } from '../../base/errors/errors.ts';
import type { Logger } from '../../base/log/logger.ts';
import { LOG_GROUP, LOG_PREFIX, SNAP_LENGTH } from '../../datapath/nftables/policy/outcome.ts';
import { NLMSG_ERROR, readError, readMessages } from '../../edge/netlink/codec/message.ts';
import { keepWatching } from '../../edge/netlink/kept-watch.ts';
import type { NetworkNamespace } from '../../edge/netlink/namespace.ts';
import { NETLINK_NETFILTER, NetlinkSocket } from '../../edge/netlink/socket.ts';
import { encodeBind, type Report, readReport } from '../../edge/nflog/nflog.ts';
import { readFlow } from '../../edge/nflog/packet.ts';
import { type Denial, describeDenial } from '../../plan/flow/denial.ts';
import type { Compiled } from '../../plan/policy/compile/compile.ts';
import type { Outcome } from '../../plan/policy/compile/outcome.ts';
import type { PolicyPod } from '../../plan/policy/parse/objects.ts';

export type DropLog = {
  /** Oldest first. */
  readonly latest: readonly Denial[];
  /** Reports that came; the kernel counts more than it reports. */
  readonly reported: number;
  follow(onDenial: (denial: Denial) => void): { [Symbol.dispose](): void };
  [Symbol.dispose](): void;
};

/** What a report is explained from, as it is in force now. */
export type DropContext = {
  outcome(name: string): Outcome | undefined;
  compiled(): Compiled;
  pods(): readonly PolicyPod[];
};

export type OpenDropLog = (context: DropContext, log: Logger) => DropLog;

const MOST_KEPT = 1000;

/** @throws FairleadError FL_DROPS where the kernel does not report to us. */
export function openDropLog(context: DropContext, log: Logger, namespace?: NetworkNamespace): DropLog {
  const open = () => {
    const socket = new NetlinkSocket(NETLINK_NETFILTER, namespace);
    try {
      bind(socket);
    } catch (error) {
      socket[Symbol.dispose]();
      throw error;
    }
    return socket;
  };
  const latest: Denial[] = [];
  const followers = new Set<(denial: Denial) => void>();
  let reported = 0;
  const tell = (report: Report) => {
    const outcome = context.outcome(report.prefix.trim().slice(LOG_PREFIX.length));
    const flow = readFlow(report.packet);
    if (outcome === undefined || flow === undefined) return;
    reported++;
    const denial = describeDenial(flow, outcome, context.compiled(), context.pods(), new Date());
    latest.push(denial);
    if (latest.length > MOST_KEPT) latest.shift();
    for (const follower of followers) follower(denial);
  };
  const onDatagram = (datagram: Buffer | null) => {
    if (datagram === null) return;
    try {
      for (const message of readMessages(datagram)) {
        const report = readReport(message);
        if (report !== undefined) tell(report);
      }
    } catch (error) {
      log.warn('a report of a denied packet cannot be read', { reason: describeError(error) });
    }
  };
  const watch = keepWatching({
    open,
    what: 'denied packets',
    onDatagram,
    onProblem: (problem) => log.error(problem),
  });
  return {
    latest,
    get reported() {
      return reported;
    },
    follow: (onDenial) => {
      followers.add(onDenial);
      return { [Symbol.dispose]: () => void followers.delete(onDenial) };
    },
    [Symbol.dispose]: () => watch[Symbol.dispose](),
  };
}

function bind(socket: NetlinkSocket): void {
  const { replies } = socket.transact(encodeBind(LOG_GROUP, SNAP_LENGTH));
  for (const message of readMessages(replies)) {
    const refusal = message.type === NLMSG_ERROR ? readError(message) : undefined;
    if (refusal === undefined) continue;
    throw new FairleadError(
      'FL_DROPS',
      `denied packets are not reported (group ${LOG_GROUP} of nfnetlink_log): ${refusal.errno}; ` +
        (refusal.errno === 'EBUSY'
          ? 'another program listens there: stop it'
          : 'the kernel lacks CONFIG_NETFILTER_NETLINK_LOG'),
    );
  }
}
