/** How a lab's API is reached: port, token and certificate, kept for as long as the lab is there. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { FairleadError } from '../src/base/errors/errors.ts';
import { type Ip, parseIp } from '../src/base/ip/ip.ts';
import { selfSignedCertificate } from './api/access/certificate.ts';
import { kubeconfig } from './api/access/kubeconfig.ts';
import { apiPaths, writeJson } from './state.ts';
import type { LabPlan } from './topology.ts';

/** The port inside the lab, as a cluster's API usually has. */
export const INSIDE_PORT = 6443;

export type ApiAccess = {
  /** On the machine's loopback. */
  port: number;
  token: string;
  /** That of the agents, who may do less. */
  agentToken: string;
  /** That of the cluster's DNS; absent in a lab that an earlier version brought up. */
  dnsToken?: string;
  /** PEM. */
  certificate: string;
  /** PEM. */
  key: string;
};

export function readAccess(lab: string): ApiAccess | undefined {
  try {
    return JSON.parse(readFileSync(apiPaths(lab).access, 'utf8')) as ApiAccess;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** New ones, readable for root alone: who has the token runs commands as root. */
export function createAccess(plan: LabPlan, port: number): ApiAccess {
  const paths = apiPaths(plan.options.name);
  mkdirSync(paths.directory, { recursive: true, mode: 0o700 });
  const names = ['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'];
  const ips = [parseIp('127.0.0.1'), parseIp('::1'), ...gatewaysOf(plan)];
  const pair = selfSignedCertificate(`fairlead-lab-${plan.options.name}`, { names, ips }, Date.now());
  const newToken = () => randomBytes(24).toString('hex');
  const access = { port, token: newToken(), agentToken: newToken(), dnsToken: newToken(), ...pair };
  writeJson(paths.access, access);
  return access;
}

/**
 * @param inside for use in the lab's namespaces, by the address of the underlay's router; else for the machine.
 * @param as who it is for: one who may do everything, or an agent.
 * @throws FairleadError where the lab has no API.
 */
export function labKubeconfig(plan: LabPlan, inside: boolean, as: 'token' | 'agentToken' = 'token'): string {
  const { name } = plan.options;
  const access = readAccess(name);
  if (access === undefined)
    throw new FairleadError(
      'FL_LAB',
      `lab ${name} has no API; run 'fairlead lab api --name ${name}', which starts it`,
    );
  const gateway = gatewaysOf(plan)[0]!;
  const host = gateway.includes(':') ? `[${gateway}]` : gateway;
  const server = inside ? `https://${host}:${INSIDE_PORT}` : `https://127.0.0.1:${access.port}`;
  return kubeconfig(name, server, access.certificate, access[as]);
}

/** For the agents of the lab's nodes. */
export function writeKubeconfig(plan: LabPlan): void {
  writeFileSync(apiPaths(plan.options.name).kubeconfig, labKubeconfig(plan, true, 'agentToken'), {
    mode: 0o600,
  });
}

function gatewaysOf(plan: LabPlan): Ip[] {
  return plan.subnets.flatMap(({ gateways }) => gateways);
}
