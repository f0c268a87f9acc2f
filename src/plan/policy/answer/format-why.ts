/** The answer to why, for people. */
import { type FlowRecord, formatReason } from '../../flow/flow-record.ts';
import type { Place } from './place.ts';
import type { Answer, Backend, ServiceAnswer, Side } from './why.ts';

const WORDS = { allowed: 'Allowed', denied: 'Denied', unreachable: 'Unreachable' } as const;
const MOST_SHOWN = 5;

/**
 * @param service of whose backends it is one.
 * @param isOfSeveral whether another family is answered too.
 * @returns lines, without the last end of line.
 */
export function formatAnswer(answer: Answer, service?: ServiceAnswer, isOfSeveral = false): string {
  const { verdict, protocol, port, source, destination, sourcePlace, destinationPlace } = answer;
  const what = `${protocol}${port === undefined ? '' : ` ${port}`}`;
  const ends = [describeEnd(source, sourcePlace), describeEnd(destination, destinationPlace)];
  return [
    `${WORDS[verdict]}: ${ends.join(' → ')}, ${what}${isOfSeveral ? `, IPv${answer.family}` : ''}`,
    ...(service === undefined ? [] : [formatService(service)]),
    ...formatTranslation(answer),
    formatSide('egress', answer.egress, answer),
    formatSide('ingress', answer.ingress, answer),
    ...formatEnd(destinationPlace),
  ].join('\n');
}

function line(name: string, text: string): string {
  return `  ${name.padEnd(8)}${text}`;
}

function formatSide(name: string, side: Side, { destination, port }: FlowRecord): string {
  const rows = [side, ...(side.proposed === undefined ? [] : [side.proposed])].map(
    ({ allowed, reason }, index) =>
      line(index === 0 ? name : 'staged', `${allowed ? 'allowed' : 'DENIED '}  ${formatReason(reason)}`),
  );
  const isOther = side.destination !== undefined && (side.destination !== destination || side.port !== port);
  if (isOther && side.policies.length > 0) rows[0] += ` (it sees ${side.destination} port ${side.port})`;
  return rows.join('\n');
}

function formatTranslation({ translated, port }: Answer): string[] {
  if (translated === undefined) return [];
  const { pod, node, ip, port: own } = translated;
  return [line('port', `${port} of node ${node} leads to ${pod ?? 'a container'} (${ip}) port ${own}`)];
}

/** Where packets end that no pod, node or host outside gets. */
function formatEnd(place: Place): string[] {
  switch (place.at) {
    case 'no-pod':
      return [line('path', `nowhere: no pod of node ${place.node} has that address`)];
    case 'no-node':
      return [line('path', 'nowhere: it is in the pod network, and in the range of no node')];
    case 'no-route':
      return [line('path', `nowhere: node ${place.node} has no route to that address`)];
    case 'multicast':
      return [line('path', 'nowhere: multicast is not forwarded beyond the link of a pod')];
    case 'broadcast':
      return [line('path', 'nowhere: a broadcast is not forwarded')];
    case 'link-local':
      return [line('path', 'nowhere: link-local addresses are not forwarded')];
    case 'loopback':
    case 'pod':
    case 'node':
    case 'outside':
      return [];
  }
}

function describeEnd(ip: string, place: Place): string {
  switch (place.at) {
    case 'pod':
      return place.pod === undefined ? ip : `${place.pod} (${ip})`;
    case 'node':
      return place.pod === undefined
        ? `node ${place.node} (${ip})`
        : `${place.pod} in the network of node ${place.node} (${ip})`;
    case 'loopback':
      return `its own loopback (${ip})`;
    case 'no-pod':
    case 'no-node':
    case 'no-route':
    case 'multicast':
    case 'broadcast':
    case 'link-local':
    case 'outside':
      return ip;
  }
}

function formatService({ name, port, backends }: ServiceAnswer): string {
  const describe = ({ pod, ip, port: own }: Backend) =>
    `${pod === undefined ? '' : `${pod} `}${ip} port ${own}`;
  const list = (some: readonly Backend[]) => some.slice(0, MOST_SHOWN).map(describe).join(', ');
  const more = backends.length > MOST_SHOWN ? `, and ${backends.length - MOST_SHOWN} more` : '';
  const denied = backends.filter(({ verdict }) => verdict !== 'allowed');
  const verdict =
    denied.length === 0 || denied.length === backends.length
      ? ''
      : `; ${denied.length} of ${backends.length} denied: ${list(denied)}`;
  return `  service ${name} port ${port} leads to ${list(backends)}${more}: policies see these addresses, not the service's${verdict}`;
}
