/** Operations as netlink messages, and in words for errors and logs. */
import { assertNever } from '../../../base/errors/errors.ts';
import type { Operation } from '../kernel.ts';
import type { LinkChange } from '../objects.ts';
import { RTM_DELADDR, RTM_NEWADDR, writeAddress } from './address.ts';
import type { Writer } from './attribute.ts';
import {
  RTM_DELLINK,
  RTM_NEWLINK,
  RTM_NEWLINKPROP,
  writeLinkChange,
  writeLinkDeletion,
  writeLinkNames,
  writeNewLink,
} from './link.ts';
import { NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, writeMessage } from './message.ts';
import { RTM_DELNEIGH, RTM_NEWNEIGH, writeFdbEntry, writeNeighbor } from './neighbor.ts';
import { RTM_NEWQDISC, writeQdisc } from './qdisc.ts';
import { RTM_NEWTFILTER, writeRedirect } from './redirect.ts';
import { RTM_DELROUTE, RTM_NEWROUTE, writeRoute, writeRouteDeletion } from './route.ts';
import { RTM_DELRULE, RTM_NEWRULE, writeRule } from './rule.ts';

const CREATE = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
const ADD_NAMES = CREATE | NLM_F_APPEND;
const REPLACE = NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;

export function writeOperation(writer: Writer, operation: Operation): void {
  const message = (type: number, flags: number, write: () => void) =>
    writeMessage(writer, type, flags, write);
  switch (operation.op) {
    case 'link.create':
      return message(RTM_NEWLINK, CREATE, () => writeNewLink(writer, operation.link));
    case 'link.change':
      return message(RTM_NEWLINK, NLM_F_ACK, () => writeLinkChange(writer, operation.change));
    case 'link.addNames':
      return message(RTM_NEWLINKPROP, ADD_NAMES, () =>
        writeLinkNames(writer, operation.index, operation.names),
      );
    case 'link.delete':
      return message(RTM_DELLINK, NLM_F_ACK, () => writeLinkDeletion(writer, { index: operation.index }));
    case 'link.deleteGroup':
      return message(RTM_DELLINK, NLM_F_ACK, () => writeLinkDeletion(writer, { group: operation.group }));
    case 'address.replace':
      return message(RTM_NEWADDR, REPLACE, () => writeAddress(writer, operation.address));
    case 'address.delete':
      return message(RTM_DELADDR, NLM_F_ACK, () => writeAddress(writer, operation.address));
    case 'route.replace':
      return message(RTM_NEWROUTE, REPLACE, () => writeRoute(writer, operation.route));
    case 'route.delete':
      return message(RTM_DELROUTE, NLM_F_ACK, () => writeRouteDeletion(writer, operation.route));
    case 'neighbor.replace':
      return message(RTM_NEWNEIGH, REPLACE, () => writeNeighbor(writer, operation.neighbor));
    case 'neighbor.delete':
      return message(RTM_DELNEIGH, NLM_F_ACK, () => writeNeighbor(writer, operation.neighbor));
    case 'fdb.replace':
      return message(RTM_NEWNEIGH, REPLACE, () => writeFdbEntry(writer, operation.entry));
    case 'fdb.delete':
      return message(RTM_DELNEIGH, NLM_F_ACK, () => writeFdbEntry(writer, operation.entry));
    case 'rule.add':
      return message(RTM_NEWRULE, CREATE, () => writeRule(writer, operation.rule));
    case 'rule.delete':
      return message(RTM_DELRULE, NLM_F_ACK, () => writeRule(writer, operation.rule));
    case 'qdisc.replace':
      return message(RTM_NEWQDISC, REPLACE, () => writeQdisc(writer, operation.qdisc));
    case 'redirect.replace':
      return message(RTM_NEWTFILTER, REPLACE, () => writeRedirect(writer, operation.redirect));
    default:
      return assertNever(operation);
  }
}

/** As in `route.replace 10.244.1.0/24 via 192.168.1.3 dev 2 table 254`. */
export function describeOperation(operation: Operation): string {
  return `${operation.op} ${describeObject(operation)}`;
}

function describeObject(operation: Operation): string {
  switch (operation.op) {
    case 'link.create':
      return `${operation.link.name} (${operation.link.kind.type})`;
    case 'link.change':
      return describeChange(operation.change);
    case 'link.addNames':
      return `index ${operation.index}: ${operation.names.length} names`;
    case 'link.delete':
      return `index ${operation.index}`;
    case 'link.deleteGroup':
      return `group ${operation.group}`;
    case 'address.replace':
    case 'address.delete':
      return `${operation.address.ip}/${operation.address.prefixLength} dev ${operation.address.linkIndex}`;
    case 'route.replace':
    case 'route.delete': {
      const { type, destination, gateway, linkIndex, table } = operation.route;
      const words = [type === 'unicast' ? [] : [type], destination, gateway ? ['via', gateway] : []].flat();
      return [...words, ...(linkIndex === undefined ? [] : ['dev', linkIndex]), 'table', table].join(' ');
    }
    case 'neighbor.replace':
    case 'neighbor.delete':
      return `${operation.neighbor.ip} dev ${operation.neighbor.linkIndex}`;
    case 'fdb.replace':
    case 'fdb.delete':
      return `${operation.entry.mac} to ${operation.entry.destination} dev ${operation.entry.linkIndex}`;
    case 'rule.add':
    case 'rule.delete':
      return `${operation.rule.priority}: from ${operation.rule.from ?? 'all'} table ${operation.rule.table}`;
    case 'qdisc.replace':
      return `${operation.qdisc.kind} dev ${operation.qdisc.linkIndex}`;
    case 'redirect.replace':
      return `dev ${operation.redirect.linkIndex} to ${operation.redirect.to}`;
    default:
      return assertNever(operation);
  }
}

/** As in `index 12: mtu=1450 up=true`; the record in an alias would be most of the line. */
function describeChange({ index, ipv4, alias, ...fields }: LinkChange): string {
  const words = Object.entries({ ...fields, ...ipv4 }).map(([name, value]) => `${name}=${value}`);
  return `index ${index}: ${[...words, ...(alias === undefined ? [] : ['alias'])].join(' ')}`;
}
