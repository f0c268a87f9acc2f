/** What a lab keeps on disk: one directory, written before the things that it names are made. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FairleadError } from '../errors/errors.ts';
import type { Ip } from '../ip/ip.ts';
import { checkLabName, type LabPlan } from './topology.ts';

export type LabPod = {
  name: string;
  node: string;
  containerId: string;
  namespace: string;
  /** Absent until the pod is attached. */
  ips?: readonly Ip[];
  mtu?: number;
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

/** The plan of a lab that is up. */
export function requireLab(name: string): LabPlan {
  const record = readRecord(name);
  if (record?.phase === 'up') return record.plan;
  const others = listLabs();
  throw new FairleadError(
    'FL_LAB',
    `lab ${name} is not up; run 'fairlead lab up'${others.length > 0 ? `, or name one of these with --name: ${others.join(', ')}` : ''}`,
  );
}

export function writePod(lab: string, pod: LabPod): void {
  writeJson(join(labDirectory(lab), 'pods', `${pod.name}.json`), pod);
}

export function removePod(lab: string, name: string): void {
  rmSync(join(labDirectory(lab), 'pods', `${name}.json`), { force: true });
}

export function readPods(lab: string): LabPod[] {
  const directory = join(labDirectory(lab), 'pods');
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((file) => file.endsWith('.json'))
    .map((file) => JSON.parse(readFileSync(join(directory, file), 'utf8')) as LabPod)
    .toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
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

export function clusterDirectory(lab: string): string {
  return join(labDirectory(lab), 'cluster');
}

function writeJson(path: string, value: unknown): void {
  writeFileSync(`${path}.new`, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
