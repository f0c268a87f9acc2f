/** The environment of a CNI call (specification, "Parameters"). */
import { CniError, quote } from './errors.ts';

export const CNI_COMMANDS = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'] as const;
export type CniCommand = (typeof CNI_COMMANDS)[number];

export type Environment = Readonly<Record<string, string>>;

/** The variables that a command cannot do without. CNI_PATH is asked for as well, although nothing is delegated. */
const REQUIRED: Record<CniCommand, readonly string[]> = {
  ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'],
  CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'],
  DEL: ['CNI_CONTAINERID', 'CNI_IFNAME', 'CNI_PATH'],
  GC: ['CNI_PATH'],
  STATUS: ['CNI_PATH'],
  VERSION: [],
};

/** Characters. An attachment's record is the alias of an interface, 255 bytes: what names it must be shorter. */
const LONGEST_CONTAINER_ID = 128;
/** IFNAMSIZ less the terminating zero. */
const LONGEST_IFNAME = 15;

export function parseCommand(environment: Environment): CniCommand {
  const command = CNI_COMMANDS.find((candidate) => candidate === environment['CNI_COMMAND']);
  if (command !== undefined) return command;
  throw refuse(
    `CNI_COMMAND: ${quote(environment['CNI_COMMAND'] ?? '')} is not a command; use one of ${CNI_COMMANDS.join(', ')}`,
  );
}

/** Names everything that is missing in one error. */
export function requireVariables(command: CniCommand, environment: Environment): void {
  const missing = REQUIRED[command].filter((name) => !environment[name]);
  if (missing.length > 0)
    throw refuse(`${command} needs ${missing.join(', ')} in its environment; set what is missing`);
}

export function parseContainerId(id: string): string {
  if (id.length > LONGEST_CONTAINER_ID)
    throw refuse(`CNI_CONTAINERID: is ${id.length} characters long; use at most ${LONGEST_CONTAINER_ID}`);
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(id)) return id;
  throw refuse(
    `CNI_CONTAINERID: ${quote(id)} has a character that none may have; use letters, digits, and inside also _ . -`,
  );
}

/** The kernel's own rules for interface names (net/core/dev.c, dev_valid_name), and the specification's. */
export function parseIfname(ifname: string): string {
  const fault = IFNAME_FAULTS.find(({ applies }) => applies(ifname));
  if (fault === undefined) return ifname;
  throw refuse(`CNI_IFNAME: ${quote(ifname)} ${fault.reason}; use a name such as eth0`);
}

const IFNAME_FAULTS: readonly { applies: (ifname: string) => boolean; reason: string }[] = [
  { applies: (name) => name === '', reason: 'is empty' },
  { applies: (name) => name.length > LONGEST_IFNAME, reason: `is longer than ${LONGEST_IFNAME} characters` },
  { applies: (name) => name === '.' || name === '..', reason: 'is not a name' },
  { applies: (name) => /[/:\s]/.test(name), reason: 'has a slash, a colon or white space' },
  { applies: (name) => /[^!-~]/.test(name), reason: 'has a character outside of printable ASCII' },
  // The kernel takes eth%d for a pattern and gives the interface another name.
  { applies: (name) => name.includes('%'), reason: 'has a percent sign' },
];

/** CNI_ARGS: `KEY=VALUE;KEY=VALUE`. Unknown keys are refused unless IgnoreUnknown says otherwise. */
export function parseArgs(text: string): Environment {
  const args = new Map<string, string>();
  for (const pair of text.split(';').filter((item) => item !== '')) {
    const at = pair.indexOf('=');
    if (at < 1) throw refuse(`CNI_ARGS: ${quote(pair)} is not KEY=VALUE; separate pairs by semicolons`);
    const key = pair.slice(0, at);
    if (args.has(key)) throw refuse(`CNI_ARGS: ${quote(key)} is there twice; give it once`);
    args.set(key, pair.slice(at + 1));
  }
  const unknown = [...args.keys()].filter((key) => !KNOWN_ARGS.has(key));
  if (unknown.length > 0 && !isYes(args.get('IgnoreUnknown')))
    throw refuse(`CNI_ARGS: ${quote(unknown.join(', '))} unknown; leave out, or add IgnoreUnknown=1`);
  return Object.fromEntries([...args].filter(([key]) => KNOWN_ARGS.has(key)));
}

/** Whether the caller says that the pod's namespace may be the plugin's own. */
export function mayBeOwnNamespace(environment: Environment): boolean {
  return isYes(environment['CNI_NETNS_OVERRIDE']);
}

/** How the specification's Go library reads flags in the environment. */
function isYes(text = ''): boolean {
  return /^(1|true)$/i.test(text);
}

function refuse(message: string): CniError {
  return new CniError('INVALID_ENVIRONMENT', message);
}

const KNOWN_ARGS = new Set([
  'IgnoreUnknown',
  'IP',
  'MAC',
  'K8S_POD_NAMESPACE',
  'K8S_POD_NAME',
  'K8S_POD_UID',
  'K8S_POD_INFRA_CONTAINER_ID',
]);
