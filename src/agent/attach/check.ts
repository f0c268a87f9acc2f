/** CNI CHECK: whether an attachment is still as the ADD left it, on both ends. */

import { hostCidr } from '../../base/ip/cidr.ts';
import type { PreviousResult } from '../../edge/cni/result/previous-result.ts';
import type { Kernel } from '../../edge/netlink/kernel.ts';
import { type Attachment, hostLinkName } from '../../plan/pod/attachment.ts';
import { podMac } from '../../plan/pod/plan.ts';
import { checkBandwidth } from '../kernel/shapers.ts';
import type { LiveAttachment } from '../node/attachments.ts';

/** @returns one clause per fault; later plugins may have added things, which is none. */
export function checkAttachment(
  attachment: LiveAttachment,
  host: Kernel,
  pod: Kernel,
  previous: PreviousResult | undefined,
  sandbox: string,
): string[] {
  return [
    ...checkHost(attachment, host),
    ...checkPod(attachment, pod),
    ...checkPrevious(attachment, previous, sandbox),
  ];
}

function checkHost(attachment: LiveAttachment, host: Kernel): string[] {
  const name = hostLinkName(attachment);
  const link = host.link(attachment.linkIndex);
  if (link === undefined) return [`the host's interface ${name} is missing`];
  const routes = host.routes({ table: 254 });
  return [
    ...(link.up ? [] : [`the host's interface ${name} is down`]),
    ...attachment.ips
      .filter(
        (ip) => !routes.some((route) => route.destination === hostCidr(ip) && route.linkIndex === link.index),
      )
      .map((ip) => `the host's route to ${ip} is missing`),
    ...checkBandwidth(attachment, link, host),
  ];
}

function checkPod(attachment: Attachment, pod: Kernel): string[] {
  const link = pod.link(attachment.ifname);
  if (link === undefined) return [`the pod's interface ${attachment.ifname} is missing`];
  const addresses = pod.addresses();
  const gateways = pod
    .routes()
    .filter(({ linkIndex, gateway }) => linkIndex === link.index && gateway !== undefined);
  return [
    ...(link.up ? [] : [`the pod's interface ${attachment.ifname} is down`]),
    ...(link.mac === podMac(attachment)
      ? []
      : [`${attachment.ifname} has MAC ${link.mac}, not ${podMac(attachment)}`]),
    ...attachment.ips
      .filter((ip) => !addresses.some((address) => address.linkIndex === link.index && address.ip === ip))
      .map((ip) => `${attachment.ifname} lacks its address ${ip}`),
    ...(gateways.length > 0 ? [] : [`the route through ${attachment.ifname} is missing`]),
  ];
}

function checkPrevious(
  attachment: Attachment,
  previous: PreviousResult | undefined,
  sandbox: string,
): string[] {
  if (previous === undefined) return [];
  const own = previous.interfaces.findIndex(
    (entry) => entry.name === attachment.ifname && entry.sandbox === sandbox,
  );
  if (own < 0) return [`prevResult has no interface ${attachment.ifname} in ${sandbox}`];
  const listed = new Set(
    previous.ips.filter((entry) => entry.interface === own).map(({ address }) => address.split('/')[0]),
  );
  return attachment.ips.filter((ip) => !listed.has(ip)).map((ip) => `prevResult lacks the address ${ip}`);
}
