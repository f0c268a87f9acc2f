/** What a lab keeps on disk: one directory, written before the things that it names are made. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { FairleadError } from '../src/base/errors/errors.ts';
import { writeAtomically } from '../src/base/files/atomic-file.ts';
import type { Ip } from '../src/base/ip/ip.ts';
import type { Container } from './kubelet/container.ts';
import { checkLabName, type LabPlan } from './topology.ts';

export type LabPod = {
  /** Of pods in another Kubernetes namespace than the default one: `namespace/name`. */
  name: string;
  node: string;
  containerId: string;
  namespace: string;
  /** Absent until the pod is attached. */
  ips?: readonly Ip[];
  mtu?: number;
  /** Of the API's object that it was made for. */
  uid?: string;
  /** Processes of its own; absent where the lab's probe is the pod's process. */
  containers?: readonly Container[];
};

export type LabRecord = { plan: LabPlan; phase: 'starting' | 'up'; pid: number };

export function labRoot(): string {
  return process.env['FAIRLEAD_LAB_ROOT'] ?? '/run/fairlead-lab';
}

export function labDirectory(name: string): string {
  checkLabName(name);
  return join(labRoot(), name);
}

export function listLabs(): string[] {
  return existsSync(labRoot()) ? readdirSync(labRoot()).filter((name) => /^[a-z0-9]{1,16}$/.test(name)) : [];
}

export function writeRecord(record: LabRecord): void {
  const directory = labDirectory(record.plan.options.name);
  mkdirSync(join(directory, 'pods'), { recursive: true, mode: 0o700 });
  writeJson(join(directory, 'lab.json'), record);
}

export function readRecord(name: string): LabRecord | undefined {
  try {
    return JSON.parse(readFileSync(join(labDirectory(name), 'lab.json'), 'utf8')) as LabRecord;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** @returns the plan of a lab that is up, or in another phase that will do. */
export function requireLab(name: string, phases: readonly LabRecord['phase'][] = ['up']): LabPlan {
  const record = readRecord(name);
  if (record !== undefined && phases.includes(record.phase)) return record.plan;
  const others = listLabs();
  throw new FairleadError(
    'FL_LAB',
    `lab ${name} is not up; run 'fairlead lab up'${others.length > 0 ? `, or name one of these with --name: ${others.join(', ')}` : ''}`,
  );
}

export function writePod(lab: string, pod: LabPod): void {
  writeJson(podPath(lab, pod.name), pod);
}

export function removePod(lab: string, name: string): void {
  rmSync(podPath(lab, name), { force: true });
}

export function readPods(lab: string): LabPod[] {
  const directory = join(labDirectory(lab), 'pods');
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((file) => file.endsWith('.json'))
    .flatMap((file) => readPodFile(join(directory, file)))
    .toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
}

/** A pod's name as part of a file name. */
export function podFileName(name: string): string {
  const text = name.replaceAll('/', '@');
  return text.length <= 128 ? text : `@${createHash('sha256').update(text).digest('hex')}`;
}

function podPath(lab: string, name: string): string {
  return join(labDirectory(lab), 'pods', `${podFileName(name)}.json`);
}

/** None where it has been removed since the directory was read. */
function readPodFile(path: string): LabPod[] {
  try {
    return [JSON.parse(readFileSync(path, 'utf8')) as LabPod];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Paths of one node's agent. */
export function nodePaths(lab: string, node: string) {
  const directory = join(labDirectory(lab), node);
  return {
    directory,
    configuration: join(directory, 'config.yaml'),
    log: join(directory, 'agent.log'),
    sockets: join(directory, 'run'),
    state: join(directory, 'state'),
    cniSocket: join(directory, 'run', 'cni.sock'),
    apiSocket: join(directory, 'run', 'api.sock'),
  };
}

/** Paths of the embedded API. */
export function apiPaths(lab: string) {
  const directory = join(labDirectory(lab), 'api');
  return {
    directory,
    objects: join(directory, 'objects'),
    log: join(directory, 'api.log'),
    access: join(directory, 'access.json'),
    kubeconfig: join(directory, 'kubeconfig'),
  };
}

export function clusterDirectory(lab: string): string {
  return join(labDirectory(lab), 'cluster');
}

export function writeJson(path: string, value: unknown): void {
  writeAtomically(path, `${JSON.stringify(value, null, 2)}\n`, 0o600);
}
