/** What may happen to a node, in any order, and what must hold afterwards. */
import assert from 'node:assert/strict';
import { parseCidr } from '../../base/ip/cidr.ts';
import { TABLE } from '../../datapath/nftables/node-table.ts';
import { POLICY_TABLE } from '../../datapath/nftables/policy/render.ts';
import type { FakeNamespace } from '../../edge/netlink/fake/fake.ts';
import { NetlinkError } from '../../edge/netlink/kernel.ts';
import type { Table } from '../../edge/nftables/objects.ts';
import { formatTable } from '../../edge/nftables/transaction.ts';
import type { ClusterNode } from '../../plan/node/cluster-node.ts';
import { ATTACHMENT_GROUP, DELETING_GROUP, readRecord, SHAPER_GROUP } from '../../plan/pod/attachment.ts';
import { createFakeNode, type FakeAgent, type FakeNode, nodeRecord } from '../fake/fake-node.ts';
import { type Action, PEERS, PODS, REFUSALS } from './events.ts';
import { changeTables, fillStateFolder, loseEntry, loseTunnel } from './interference.ts';

/** An ADD. `unknown` is one that no agent answered, or that failed while the kernel refused to undo things, too. */
type Attempt = {
  outcome: 'under way' | 'yes' | 'no' | 'unknown';
  ip?: string;
  result?: object;
  namespace: FakeNamespace;
  isLost: boolean;
};
type Pod = { container: string; path: string; attempts: Attempt[]; owesDeletion: boolean };

/** Five addresses for five pods: each is soon given again. */
const OWN = nodeRecord(1, { podCidrs: [parseCidr('10.244.0.0/29')] });

export class World {
  readonly node: FakeNode;
  readonly #pods: readonly Pod[];
  readonly #calls = new Set<Promise<unknown>>();
  readonly #peers = new Map<number, ClusterNode | undefined>();
  #agent: { life: FakeAgent['life']; started: Promise<FakeAgent> } | undefined;
  /** The first promise that was not kept. */
  #failure: { error: unknown } | undefined;
  #isAway = false;
  #isRecorded = true;
  #policies: readonly number[] = [];
  #objects: readonly number[] = [];
  /** Changes that make what was just said out of date. */
  #upheavals = 0;
  /** Whether something is refused now, and how often that began. */
  #isRefused = false;
  #refusals = 0;

  constructor() {
    this.node = createFakeNode({
      hasPolicies: true,
      configuration: { resyncSeconds: '3600', backend: 'vxlan' },
      pause: () => new Promise((resolve) => void this.node.clock.after(20, resolve)),
    });
    this.#pods = Array.from({ length: PODS }, (_, index) => ({
      container: `pod-${index}`,
      path: `/run/netns/pod-${index}`,
      attempts: [],
      owesDeletion: false,
    }));
    for (const peer of [2, 3]) this.#peers.set(peer, PEERS.well(peer));
    this.#tellNodes();
    this.#tellObjects();
    this.#start();
  }

  async act(action: Action): Promise<void> {
    const { node } = this;
    const { clock, foreign, cluster } = node;
    switch (action.do) {
      case 'ADD':
        return this.#add(action.pod);
      case 'DEL':
        return this.#delete(action.pod);
      case 'CHECK':
        return this.#call(node.ask('CHECK', this.#callOf(action.pod)));
      case 'GC':
        return this.#collect();
      case 'wait for the calls':
        return this.#settle();
      case 'turn':
        return clock.turn(action.ms);
      case 'kill':
        return this.#agent?.life.kill(action.calls);
      case 'start':
        if (this.#agent === undefined || this.#agent.life.isOver) this.#start();
        return undefined;
      case 'lose its namespace':
        this.#upheavals++;
        return node.removePod(this.#pods[action.pod]!.path);
      case 'lose its link':
        return this.#loseLink(this.#pods[action.pod]!);
      case 'lose the tunnel':
        return loseTunnel(node);
      case 'lose an entry':
        this.#upheavals++;
        return loseEntry(node, action);
      case 'flap':
        for (const up of [false, true]) foreign.apply([{ op: 'link.change', change: { index: 2, up } }]);
        return undefined;
      case 'peer':
        this.#peers.set(action.peer, PEERS[action.as](action.peer));
        return this.#tellNodes();
      case 'own record':
        this.#isRecorded = action.there;
        return this.#tellNodes();
      case 'policies':
        this.#upheavals++;
        this.#policies = action.of;
        return this.#tellObjects();
      case 'pod objects':
        this.#upheavals++;
        this.#objects = action.of;
        return this.#tellObjects();
      case 'foreign tables':
        this.#upheavals++;
        return changeTables(node, action.what);
      case 'refuse': {
        const [pattern, errno] = REFUSALS[action.what];
        this.#isRefused = true;
        this.#refusals++;
        return node.refuse((what) => (pattern.test(what) ? new NetlinkError(what, errno) : undefined));
      }
      case 'forget refusals':
        this.#isRefused = false;
        return node.refuse();
      case 'API':
        this.#upheavals++;
        this.#isAway = action.away;
        return cluster.setAway(action.away);
      case 'state folder':
        return fillStateFolder(node, action.full);
    }
  }

  /** Everything that stood in the way goes away, and time goes by; then all must be as it shall be. */
  async end(): Promise<void> {
    const { node } = this;
    const { clock, cluster } = node;
    node.refuse();
    cluster.setAway(false);
    fillStateFolder(node, false);
    this.#isRecorded = true;
    for (const peer of [2, 3]) this.#peers.set(peer, PEERS.well(peer));
    this.#peers.delete(4);
    this.#tellNodes();
    // One that was to be killed later would be in the middle of what follows.
    this.#agent?.life.kill();
    this.#start();
    const agent = await node.settled('the last agent serves', this.#agent!.started);
    await this.#settle();
    // As a runtime does with an ADD that it knows nothing of or that failed, and with a DEL that was refused.
    for (const [index, { attempts, owesDeletion }] of this.#pods.entries()) {
      const isOwed = owesDeletion || attempts.some(({ outcome }) => outcome === 'unknown');
      if (isOwed && this.#attachedBy(index) === undefined) this.#delete(index);
    }
    await this.#settle();
    await clock.turn(30_000);
    await this.#judge();
    const before = this.#snapshot();
    await node.settled('the agent stops', agent.stop());
    assert.deepEqual(this.#snapshot(), before, 'an agent that stops leaves all as it is');
    const { started } = node.begin();
    await node.settled('a fresh agent serves', started);
    await clock.turn(2000);
    const { lastResync } = await node.status();
    assert.deepEqual(this.#snapshot(), before, 'a fresh agent finds nothing to do');
    assert.equal(lastResync?.operations, 0);
    await this.#judge();
  }

  #start(): void {
    const agent = this.node.begin();
    this.#agent = agent;
    // One that cannot start ends; whatever runs it starts the next.
    agent.started.catch(() => agent.life.kill());
  }

  #call(call: Promise<unknown>): void {
    const settled = call
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#calls.delete(settled));
    this.#calls.add(settled);
  }

  async #settle(): Promise<void> {
    const { node } = this;
    await node.clock.until('all calls are answered', () => this.#calls.size === 0);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #callOf(index: number) {
    const { container } = this.#pods[index]!;
    const ports = index % 2 === 0 ? [{ hostPort: 8000 + index, containerPort: 80, protocol: 'tcp' }] : [];
    return { container, pod: `default/${container}`, ports };
  }

  #add(index: number): void {
    const { node } = this;
    const pod = this.#pods[index]!;
    const namespace = node.pod(pod.path) ?? node.addPod(pod.path);
    const attempt: Attempt = { outcome: 'under way', namespace, isLost: false };
    pod.attempts.push(attempt);
    const upheavals = this.#upheavals;
    const refusals = this.#refusals - (this.#isRefused ? 1 : 0);
    const ask = async () => {
      const { exitCode, stdout } = await node.ask('ADD', this.#callOf(index));
      if (exitCode !== 0) {
        const isLeft = stdout.includes('no agent answers') || refusals !== this.#refusals;
        attempt.outcome = isLeft ? 'unknown' : 'no';
        return;
      }
      attempt.outcome = 'yes';
      const result = JSON.parse(stdout) as { ips: { address: string }[] };
      attempt.result = result;
      attempt.ip = result.ips[0]!.address.split('/')[0]!;
      // The link that was lost may have been that of the ADD before, behind which this one waited.
      attempt.isLost &&= this.#linkOf(pod)?.ips?.join() !== attempt.ip;
      this.#isAlone(index, attempt.ip);
      const isKnown = upheavals === this.#upheavals && !this.#isAway;
      if (isKnown && pod.attempts.includes(attempt)) this.#isServed(index, attempt.ip);
    };
    this.#call(ask());
  }

  #delete(index: number): void {
    const { node } = this;
    const pod = this.#pods[index]!;
    // What was attached until now, or is about to be, is not wanted any more.
    pod.attempts = [];
    this.#call(
      node.ask('DEL', this.#callOf(index)).then(({ exitCode }) => {
        pod.owesDeletion = exitCode !== 0;
      }),
    );
  }

  async #collect(): Promise<void> {
    const { node } = this;
    await this.#settle();
    const valid = this.#pods.filter((_, index) => this.#attachedBy(index) !== undefined);
    this.#call(
      node.ask('GC', {
        container: '',
        configuration: {
          'cni.dev/valid-attachments': valid.map(({ container }) => ({
            containerID: container,
            ifname: 'eth0',
          })),
        },
      }),
    );
    await this.#settle();
  }

  /** What a runtime takes for attached. */
  #attachedBy(index: number): Attempt | undefined {
    const { attempts, path } = this.#pods[index]!;
    return attempts.find(
      ({ outcome, isLost, namespace }) => outcome === 'yes' && !isLost && this.node.pod(path) === namespace,
    );
  }

  #linkOf({ container }: Pod) {
    return this.node.foreign
      .links()
      .filter(({ group }) => group === ATTACHMENT_GROUP)
      .map((link) => ({ index: link.index, ...readRecord(link) }))
      .find(({ containerId }) => containerId === container);
  }

  #loseLink(pod: Pod): void {
    const link = this.#linkOf(pod);
    if (link === undefined) return;
    this.#upheavals++;
    this.node.foreign.apply([{ op: 'link.delete', index: link.index }]);
    for (const attempt of pod.attempts) attempt.isLost = true;
  }

  #tellNodes(): void {
    const peers = [...this.#peers.values()].filter((peer) => peer !== undefined);
    this.node.cluster.setNodes([...(this.#isRecorded ? [OWN] : []), ...peers]);
  }

  #tellObjects(): void {
    const metadata = (name: string) => ({ name, namespace: 'default', uid: name, resourceVersion: '1' });
    this.node.cluster.setObjects({
      namespaces: [{ metadata: { name: 'default', uid: 'default', resourceVersion: '1' } }],
      pods: this.#objects.map((index) => ({
        metadata: { ...metadata(`pod-${index}`), labels: { app: `app-${index}` } },
        spec: { nodeName: 'node-1' },
        status: { phase: 'Running' },
      })),
      policies: this.#policies.map((index) => ({
        metadata: metadata(`policy-${index}`),
        spec: { podSelector: { matchLabels: { app: `app-${index}` } }, ingress: [] },
      })),
    });
  }

  /** The address is not in the namespace of any other pod, though that may be on its way out. */
  #isAlone(index: number, ip: string): void {
    for (const { path } of this.#pods.toSpliced(index, 1)) {
      const others = this.node.pod(path)?.addresses.map((address) => String(address.ip)) ?? [];
      assert.ok(!others.includes(ip), `${ip} has two owners: ${path} and that of pod ${index}`);
    }
  }

  /** What an ADD that said yes promises beyond the kernel's links: its policies and its ports. */
  #isServed(index: number, ip: string): void {
    const { tables } = this.node.nftables;
    const text = ({ family, name }: Pick<Table, 'family' | 'name'>) => {
      const table = tables.get(`${family} ${name}`);
      return table === undefined ? '' : formatTable(table);
    };
    const isolated = this.#objects.includes(index)
      ? this.#policies.includes(index)
      : this.#policies.length > 0;
    const hasIp = new RegExp(`\\b${ip.replaceAll('.', '\\.')}\\b`);
    if (isolated) assert.match(text(POLICY_TABLE), hasIp, `the policies of ${ip} are in force`);
    for (const { hostPort } of this.#callOf(index).ports)
      assert.match(text(TABLE), new RegExp(`\\b${hostPort}\\b.*${ip}`), `port ${hostPort} leads to ${ip}`);
  }

  async #judge(): Promise<void> {
    const { node } = this;
    const { readiness, problems } = await node.status();
    assert.equal(readiness.ready, true, JSON.stringify(readiness));
    assert.deepEqual(problems, []);
    assert.deepEqual(node.kept(), [], 'no DEL is kept for ever');
    const links = node.foreign.links();
    assert.deepEqual(
      links.filter(({ group }) => group === DELETING_GROUP || group === SHAPER_GROUP).map(({ name }) => name),
      [],
      'what was given up is deleted',
    );
    const attached = links.filter(({ group }) => group === ATTACHMENT_GROUP).map((link) => readRecord(link)!);
    const wanted = this.#pods.flatMap(({ container }, index) => {
      const attempt = this.#attachedBy(index);
      return attempt === undefined ? [] : [`${container} ${attempt.ip}`];
    });
    assert.deepEqual(
      attached.map(({ containerId, ips }) => `${containerId} ${ips.join()}`).toSorted(),
      wanted.toSorted(),
      'attached is what a yes was said to, and nothing else',
    );
    const ips = attached.flatMap((one) => one.ips);
    assert.equal(new Set(ips).size, ips.length, 'no address has two owners');
    const ranges = [2, 3].map((peer) => `10.244.${peer - 1}.0/24`);
    assert.deepEqual(
      // Those beside them lead to the peers' tunnels.
      node
        .routes()
        .filter((route) => route.startsWith('10.244.'))
        .toSorted(),
      [...ranges, ...ips.map((ip) => `${ip}/32`)].toSorted(),
      'there is a way to every pod and every peer, and no other',
    );
    for (const [index, { container }] of this.#pods.entries()) {
      const attempt = this.#attachedBy(index);
      if (attempt === undefined) continue;
      this.#isServed(index, attempt.ip!);
      const { exitCode, stdout } = await node.call('CHECK', {
        ...this.#callOf(index),
        configuration: { prevResult: attempt.result },
      });
      assert.equal(exitCode, 0, `${container}: ${stdout}`);
    }
  }

  #snapshot(): object {
    const { foreign, nftables } = this.node;
    const links = foreign.links();
    const tables = [...nftables.tables].toSorted(([a], [b]) => a.localeCompare(b));
    return {
      links: links.map(({ index, name, up, group, alias, mtu, ipv4, ipv6 }) => ({
        index,
        name,
        up,
        group,
        alias,
        mtu,
        ipv4,
        ipv6,
      })),
      routes: foreign.routes(),
      neighbors: foreign.neighbors(),
      fdb: links.flatMap(({ index }) => foreign.fdb(index)),
      tables: tables.map(([, table]) => formatTable(table)),
    };
  }

  [Symbol.dispose](): void {
    this.#agent?.life.kill();
    this.node[Symbol.dispose]();
  }
}
