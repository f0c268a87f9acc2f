/** Keeps the links of Fairlead's own as they are to be set, whatever else on the node sets every new interface. */
import type { IpFamily } from '../../base/ip/ip.ts';
import { VXLAN_LINKS } from '../../edge/marks/marks.ts';
import type { Kernel, Operation } from '../../edge/netlink/kernel.ts';
import type { Link } from '../../edge/netlink/objects.ts';
import { applyOperations } from '../../edge/netlink/state/apply.ts';
import type { Sysctl } from '../../edge/sysctl/sysctls.ts';
import { describeAttachment, SHAPER_GROUP } from '../../plan/pod/attachment.ts';
import {
  differingSettings,
  ipv6Sysctls,
  type LinkSettings,
  podLinkSettings,
  SHAPER_SETTINGS,
  tunnelSettings,
} from '../../plan/pod/link-settings.ts';
import type { LiveAttachment } from '../node/attachments.ts';

export type SettlerInput = {
  /** Dumped just now; undefined where pods' links are as they were looked at last. */
  links: readonly Link[] | undefined;
  attachments: readonly LiveAttachment[];
  /** Of the pod network. */
  families: readonly IpFamily[];
  /** @returns one sentence for each that cannot be set. */
  write: (settings: readonly Sysctl[]) => string[];
};

/** What was set otherwise, and what cannot be set, one sentence each. */
export type Settled = { mended: string[]; problems: readonly string[] };

export class LinkSettler {
  readonly #kernel: Kernel;
  /** Bytes, as pods' links were first seen: an ADD may have asked for its own. */
  readonly #mtus = new Map<number, number>();
  #podProblems: readonly string[] = [];

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  settle(input: SettlerInput): Settled {
    const tunnels = Object.values(VXLAN_LINKS).flatMap((name) => this.#kernel.link(name) ?? []);
    const ofTunnels = this.#bring(
      tunnels.map((link) => ({ link, what: link.name, wanted: tunnelSettings(input.families) })),
      input,
    );
    if (input.links === undefined) {
      return { ...ofTunnels, problems: [...ofTunnels.problems, ...this.#podProblems] };
    }
    const ofPods = this.#bring([...this.#pods(input.links, input), ...shapers(input.links)], input);
    this.#podProblems = ofPods.problems;
    return {
      mended: [...ofTunnels.mended, ...ofPods.mended],
      problems: [...ofTunnels.problems, ...ofPods.problems],
    };
  }

  #pods(links: readonly Link[], { attachments }: SettlerInput): Wanted[] {
    const byIndex = new Map(links.map((link) => [link.index, link]));
    for (const index of this.#mtus.keys()) if (!byIndex.has(index)) this.#mtus.delete(index);
    return attachments.flatMap((attachment) => {
      const link = byIndex.get(attachment.linkIndex);
      if (link === undefined) return [];
      const mtu = this.#mtus.get(link.index) ?? link.mtu;
      this.#mtus.set(link.index, mtu);
      return [{ link, what: describeAttachment(attachment), wanted: podLinkSettings(attachment), mtu }];
    });
  }

  #bring(all: readonly Wanted[], { write }: SettlerInput): Settled {
    const mended: string[] = [];
    const problems: string[] = [];
    for (const { link, what, wanted, mtu } of all) {
      const differing = differingSettings(link, wanted);
      const isOther = mtu !== undefined && mtu !== link.mtu;
      if (differing === undefined && !isOther) continue;
      const { ipv4 = {}, ipv6 = {} } = differing ?? {};
      const change = { index: link.index, ...(isOther ? { mtu } : {}) };
      const operations: Operation[] =
        isOther || Object.keys(ipv4).length > 0 ? [{ op: 'link.change', change: { ...change, ipv4 } }] : [];
      const { failures } = applyOperations(this.#kernel, operations);
      const refused = [...failures.map(({ error }) => error.message), ...write(ipv6Sysctls(link.name, ipv6))];
      problems.push(...refused.map((reason) => `the interface of ${what}: ${reason}`));
      const fields = { ...(isOther ? { mtu } : {}), ...ipv4, ...ipv6 };
      const words = Object.entries(fields).map(([name, value]) => `${name}=${value}`);
      if (refused.length === 0) mended.push(`${link.name} (${what}): ${words.join(' ')}`);
    }
    return { mended, problems };
  }
}

type Wanted = { link: Link; what: string; wanted: LinkSettings; mtu?: number };

function shapers(links: readonly Link[]): Wanted[] {
  return links
    .filter(({ group }) => group === SHAPER_GROUP)
    .map((link) => ({ link, what: 'a limited pod', wanted: SHAPER_SETTINGS }));
}
