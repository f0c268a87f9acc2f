/** A node with its real agent, and containers that the real plugin attaches to it. */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { networkConfiguration } from '../../lab/pods.ts';
import { type CniAnswer, type CniCall, callPlugin } from '../../lab/runtime.ts';
import type { LabOptions } from '../../lab/topology.ts';
import { startLab } from '../lab/fixture.ts';
import { createNamespace, type TestNamespace } from '../namespace.ts';

export type Result = {
  cniVersion: string;
  interfaces: { name: string; mac: string; mtu?: number; sandbox?: string }[];
  ips: { version?: string; address: string; gateway: string; interface: number }[];
  routes: { dst: string; gw: string }[];
  dns?: { nameservers?: string[]; domain?: string; search?: string[]; options?: string[] };
};

export type Container = {
  space: TestNamespace;
  containerId: string;
  call: (command: CniCall['command'], more?: Partial<CniCall>) => Promise<CniAnswer>;
};

export async function startNode(options: Partial<LabOptions> = {}) {
  const plan = await startLab({ nodes: 1, pods: 0, ...options });
  const node = plan.nodes[0]!;
  const spaces: TestNamespace[] = [];
  after(() => spaces.forEach((space) => space[Symbol.dispose]()));
  let count = 0;

  /** A pod's namespace, and calls for it. */
  const container = (configuration: object = {}): Container => {
    const space = createNamespace();
    spaces.push(space);
    const containerId = `container-${++count}`;
    return {
      space,
      containerId,
      call: (command, more = {}) =>
        callPlugin({
          command,
          configuration: networkConfiguration(plan, node.name, configuration),
          containerId,
          netns: space.path,
          ifname: 'eth0',
          ...more,
        }),
    };
  };
  /** Configurations of the node, to be given instead of a container's own. */
  const configured = (more: object) => ({ configuration: networkConfiguration(plan, node.name, more) });
  return { plan, node, container, configured };
}

export function parse(stdout: string): Result {
  return JSON.parse(stdout) as Result;
}

/** The result of a call that must succeed. */
export function resultOf({ exitCode, stdout }: CniAnswer): Result {
  assert.equal(exitCode, 0, stdout);
  return parse(stdout);
}

export function errorOf({ exitCode, stdout }: CniAnswer): { code: number; msg: string } {
  assert.equal(exitCode, 1, stdout);
  return JSON.parse(stdout) as { code: number; msg: string };
}
