/** The environment of a CNI call (specification, "Parameters"). */
import { CniError } from './errors.ts';

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
  throw new CniError(
    'INVALID_ENVIRONMENT',
    `CNI_COMMAND: ${JSON.stringify(environment['CNI_COMMAND'] ?? '')} is not a command; use one of ${CNI_COMMANDS.join(', ')}`,
  );
}

/** Names everything that is missing in one error. */
export function requireVariables(command: CniCommand, environment: Environment): void {
  const missing = REQUIRED[command].filter((name) => !environment[name]);
  if (missing.length === 0) return;
  throw new CniError(
    'INVALID_ENVIRONMENT',
    `${command} needs ${missing.join(', ')} in its environment; set what is missing`,
  );
}

export function parseContainerId(id: string): string {
  if (id.length > LONGEST_CONTAINER_ID) {
    throw new CniError(
      'INVALID_ENVIRONMENT',
      `CNI_CONTAINERID: is ${id.length} characters long; use at most ${LONGEST_CONTAINER_ID}`,
    );
  }
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(id)) {
    throw new CniError(
      'INVALID_ENVIRONMENT',
      `CNI_CONTAINERID: ${JSON.stringify(id)} has a character that none may have; use letters, digits, and inside also _ . -`,
    );
  }
  return id;
}

/** The kernel's own rules for interface names (net/core/dev.c, dev_valid_name). */
export function parseIfname(ifname: string): string {
  const reason =
    ifname.length > LONGEST_IFNAME
      ? `is longer than ${LONGEST_IFNAME} characters`
      : ifname === '.' || ifname === '..'
        ? 'is not a name'
        : /[/:\s]/.test(ifname)
          ? 'has a slash, a colon or white space'
          : /[^!-~]/.test(ifname)
            ? 'has a character outside of ASCII'
            : undefined;
  if (reason === undefined) return ifname;
  throw new CniError(
    'INVALID_ENVIRONMENT',
    `CNI_IFNAME: ${JSON.stringify(ifname)} ${reason}; use a name such as eth0`,
  );
}

/** CNI_ARGS: `KEY=VALUE;KEY=VALUE`. Unknown keys are refused unless IgnoreUnknown says otherwise. */
export function parseArgs(text: string): Record<string, string> {
  const args: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const pair of text.split(';')) {
    if (pair === '') continue;
    const at = pair.indexOf('=');
    if (at < 1) {
      throw new CniError(
        'INVALID_ENVIRONMENT',
        `CNI_ARGS: ${JSON.stringify(pair)} is not KEY=VALUE; separate pairs by semicolons`,
      );
    }
    args[pair.slice(0, at)] = pair.slice(at + 1);
  }
  const unknown = Object.keys(args).filter((key) => !KNOWN_ARGS.has(key));
  if (unknown.length > 0 && !/^(1|true)$/i.test(args['IgnoreUnknown'] ?? '')) {
    throw new CniError(
      'INVALID_ENVIRONMENT',
      `CNI_ARGS: ${unknown.join(', ')} unknown; leave out, or add IgnoreUnknown=1`,
    );
  }
  return args;
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
