/** Limits of pods on the kernel: where their devices are, whether all is in force. */
import type { Kernel } from '../../edge/netlink/kernel.ts';
import type { Link } from '../../edge/netlink/objects.ts';
import { diffStates } from '../../edge/netlink/state/diff.ts';
import { EMPTY_STATE, mergeStates, type NetworkState } from '../../edge/netlink/state/state.ts';
import { type Attachment, DELETING_GROUP, SHAPER_GROUP } from '../../plan/pod/attachment.ts';
import { type Shaping, shapePod, shapeReceived, shaperName, shapeSent } from '../../plan/pod/bandwidth.ts';
import type { LiveAttachment } from '../node/attachments.ts';

/** The device that holds up what a pod sends; undefined where there is none, or none of ours. */
export function findShaper(attachment: Attachment, host: Kernel): Link | undefined {
  if (attachment.bandwidth?.egress === undefined) return undefined;
  const link = host.link(shaperName(attachment));
  return link?.group === SHAPER_GROUP || link?.group === DELETING_GROUP ? link : undefined;
}

/**
 * An index for the shaper of a new pod. One of the same name, whose pod died without a DEL, goes first.
 * @returns undefined where none is needed.
 */
export function placeShaper(
  attachment: Attachment,
  host: Kernel,
  nextIndex: () => number,
): number | undefined {
  if (attachment.bandwidth?.egress === undefined) return undefined;
  const left = findShaper(attachment, host);
  if (left !== undefined) host.apply([{ op: 'link.delete', index: left.index }]);
  let index = nextIndex();
  while (host.link(index) !== undefined) index = nextIndex();
  return index;
}

/** What limits all of the node's pods. */
export function planShapers(
  attachments: readonly LiveAttachment[],
  links: readonly Link[],
  freeIndex: () => number,
): NetworkState {
  const limited = attachments.filter(({ bandwidth }) => bandwidth !== undefined);
  if (limited.length === 0) return EMPTY_STATE;
  const byName = new Map(links.map((link) => [link.name, link]));
  const byIndex = new Map(links.map((link) => [link.index, link]));
  const shapings = limited.map((attachment) => {
    const { linkIndex, bandwidth } = attachment;
    const mtu = byIndex.get(linkIndex)?.mtu;
    if (mtu === undefined) return EMPTY_STATE;
    const shaper = byName.get(shaperName(attachment))?.index;
    const shaperIndex = bandwidth?.egress === undefined ? 0 : (shaper ?? freeIndex());
    return { ...EMPTY_STATE, ...shapePod(attachment, { linkIndex, shaperIndex, mtu }) };
  });
  return mergeStates(...shapings);
}

/** @returns one clause per direction whose limit is not in force. */
export function checkBandwidth(attachment: LiveAttachment, link: Link, host: Kernel): string[] {
  const { bandwidth, linkIndex } = attachment;
  if (bandwidth === undefined) return [];
  const shaper = findShaper(attachment, host);
  const actual = {
    ...EMPTY_STATE,
    links: shaper === undefined ? [] : [shaper],
    qdiscs: host.qdiscs(),
    redirects: host.redirects(linkIndex),
  };
  const place = { linkIndex, shaperIndex: shaper?.index ?? 0, mtu: link.mtu };
  const isInForce = (shaping: Shaping) =>
    diffStates(
      { ...EMPTY_STATE, ...shaping },
      { ...actual, links: shaping.links.length > 0 ? actual.links : [] },
    ).length === 0;
  return [
    ...(isInForce(shapeReceived(attachment, place))
      ? []
      : [`its limit of ${bandwidth.ingress?.rate} bit/s for what it receives is not in force`]),
    ...(isInForce(shapeSent(attachment, place))
      ? []
      : [`its limit of ${bandwidth.egress?.rate} bit/s for what it sends is not in force`]),
  ];
}
