/**
 * An attachment is one interface of one container in one network (CNI specification, "Attachment").
 * Its record is the alias of the host's end of the veth, with alternative names for what the alias has no room for: the kernel is the only database of what is attached,
 * so nothing can leak: when the pod's namespace dies, the veth, the record and the address are gone with it.
 */

import { hash } from 'node:crypto';
import { type Ip, isIp, parseIp } from '../../base/ip/ip.ts';
import { isMac, type Mac, parseMac } from '../../base/ip/mac.ts';
import type { Bandwidth } from '../../edge/cni/capability/bandwidth.ts';
import type { PortMapping } from '../../edge/cni/capability/port-mapping.ts';
import type { PodName } from '../../edge/cni/pod-name.ts';
import { formatPortNames, parsePortNames } from '../hostport/record.ts';
import { formatBandwidthNames, parseBandwidthNames } from './bandwidth-record.ts';
import { formatPodNames, parsePodNames } from './name-record.ts';

/** What identifies an attachment (CNI: container id and interface name are unique within a network). */
export type AttachmentKey = { network: string; containerId: string; ifname: string };

export type Attachment = AttachmentKey & {
  /** At most one address per family, IPv4 first. */
  ips: readonly Ip[];
  /** Only where one was asked for; otherwise it follows from the key. */
  mac?: Mac;
  pod?: PodName;
  /** Ports of the node that lead to the pod; recorded as alternative names of the link. */
  portMappings?: readonly PortMapping[];
  /** How fast the pod may receive and send; recorded as the ports are. */
  bandwidth?: Bandwidth;
};

/** Links of this group are the hosts' ends of pods' veths. */
export const ATTACHMENT_GROUP = 0xfa10;
/** Links of this group hold up what pods send, where that is limited. */
export const SHAPER_GROUP = 0xfa1b;
/** Links of this group wait for their deletion, which is done for all of them at once. */
export const DELETING_GROUP = 0xfa1d;

/** IFALIASZ of linux/if.h is 256 with the terminating zero. */
const RECORD_LIMIT = 255;

/** A text for maps and logs. */
export function attachmentId(key: AttachmentKey): string {
  return `${key.network}/${key.containerId}/${key.ifname}`;
}

/** The host's end of the veth: always the same name for the same attachment, and short enough for IFNAMSIZ. */
export function hostLinkName(key: AttachmentKey): string {
  return `fl${hash('sha256', attachmentId(key), 'hex').slice(0, 12)}`;
}

/**
 * The record as one line that a person can read in `ip link`. A pod's name that does not fit is recorded beside it
 * ({@link formatRecordNames}).
 * @returns undefined when even the rest exceeds the 255 bytes of an alias.
 */
export function formatRecord(attachment: Attachment): string | undefined {
  const key = formatKey(attachment);
  if (key.length > RECORD_LIMIT) return undefined;
  return nameFits(attachment) ? `${key}${formatPod(attachment)}` : key;
}

/** The alternative names of the link that hold what the alias has no room for. */
export function formatRecordNames(attachment: Attachment): string[] {
  const { pod, portMappings = [], bandwidth = {} } = attachment;
  const linkName = hostLinkName(attachment);
  return [
    ...(pod === undefined || nameFits(attachment) ? [] : formatPodNames(linkName, pod)),
    ...formatPortNames(linkName, portMappings),
    ...formatBandwidthNames(linkName, bandwidth),
  ];
}

/** The whole record of a link. @returns undefined for one that is none of ours, or incomplete. */
export function readRecord({ alias, name, altNames }: RecordedLink): Attachment | undefined {
  const attachment = alias === undefined ? undefined : parseRecord(alias);
  if (attachment === undefined) return undefined;
  const pod = attachment.pod ?? parsePodNames(name, altNames);
  const portMappings = parsePortNames(name, altNames);
  const bandwidth = parseBandwidthNames(name, altNames);
  return {
    ...attachment,
    ...(pod === undefined ? {} : { pod }),
    ...(portMappings.length === 0 ? {} : { portMappings }),
    ...(bandwidth === undefined ? {} : { bandwidth }),
  };
}

type RecordedLink = { name: string; altNames: readonly string[]; alias?: string };

function formatKey({ network, containerId, ifname, ips, mac }: Attachment): string {
  const key = `fairlead net=${network} container=${containerId} if=${ifname} ip=${ips.join(',')}`;
  return mac === undefined ? key : `${key} mac=${mac}`;
}

function formatPod({ pod }: Attachment): string {
  return pod === undefined ? '' : ` pod=${pod.namespace}/${pod.name}`;
}

function nameFits(attachment: Attachment): boolean {
  return Buffer.byteLength(formatKey(attachment) + formatPod(attachment)) <= RECORD_LIMIT;
}

/** @returns undefined for an alias that is not a complete record. */
export function parseRecord(alias: string): Attachment | undefined {
  const [head, ...words] = alias.split(' ');
  if (head !== 'fairlead') return undefined;
  const fields = new Map(words.map((word) => splitOnce(word, '=')));
  const network = fields.get('net');
  const containerId = fields.get('container');
  const ifname = fields.get('if');
  const ips = fields.get('ip')?.split(',') ?? [];
  if (!network || !containerId || !ifname || ips.length === 0 || !ips.every(isIp)) return undefined;
  const mac = fields.get('mac');
  if (mac !== undefined && !isMac(mac)) return undefined;
  const pod = fields.get('pod');
  return {
    network,
    containerId,
    ifname,
    ips: ips.map((ip) => parseIp(ip)),
    ...(mac === undefined ? {} : { mac: parseMac(mac) }),
    ...(pod === undefined ? {} : { pod: parsePodName(pod) }),
  };
}

/** For people: the pod's name where it is known, else the container. */
export function describeAttachment(attachment: Attachment): string {
  const { pod, containerId, ifname } = attachment;
  return `${pod === undefined ? `container ${containerId}` : `pod ${pod.namespace}/${pod.name}`} (${ifname})`;
}

function parsePodName(text: string): PodName {
  const [namespace, name] = splitOnce(text, '/');
  return { namespace, name };
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
