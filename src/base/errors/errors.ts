/**
 * The one error class of Fairlead. Every failure that reaches a person carries a code from the table below,
 * and every code is explained in docs/errors.md (a test compares the two).
 */

/** Each code and, in a few words, what it stands for. docs/errors.md has the cause and the cure at length. */
export const ERROR_CODES = {
  FL_API: 'the Kubernetes API refused a request or does not answer',
  FL_KUBECONFIG: 'there is no usable access to the Kubernetes API',
  FL_AGENT: 'no agent answers',
  FL_CLEANUP: 'a node cannot be cleaned up now',
  FL_ADDON_MISSING: 'the native addon is not built',
  FL_NAMESPACE: 'a path is not a usable network namespace',
  FL_CLUSTER_DIRECTORY: 'the directory of the node records cannot be used',
  FL_CONNTRACK: 'the kernel does not forget connections',
  FL_DROPS: 'the kernel does not report denied packets',
  FL_PROBE: 'the kernel does not let the agent probe other nodes',
  FL_CONFIGURATION: 'the configuration file has mistakes',
  FL_FRAME: 'bytes on the agent socket are not a request',
  FL_NFT: 'nft refused a ruleset or cannot be run',
  FL_SOCKET_IN_USE: 'another agent serves the socket',
  FL_USAGE: 'the command line is used wrongly',
  FL_IMAGE: 'the container image cannot be assembled',
  FL_INSTALL: 'a file of the host cannot be written',
  FL_LAB: 'the lab cannot do what was asked',
  FL_IP_SYNTAX: 'a text is not an IP address',
  FL_CIDR_SYNTAX: 'a text is not an IP range in prefix notation',
  FL_MAC_SYNTAX: 'a text is not a MAC address',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

export class FairleadError extends Error {
  readonly code: ErrorCode;

  /** @param message one sentence that names the field, its value and the cure. */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'FairleadError';
    this.code = code;
  }
}

/** The message of anything that was thrown; causes are appended, so that no layer swallows the reason. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof AggregateError) return [error.message, ...error.errors.map(describeError)].join('; ');
  return error.cause === undefined ? error.message : `${error.message}: ${describeError(error.cause)}`;
}

/** For the `default` branch of a switch over a union: the compiler proves that it is never reached. */
export function assertNever(value: never): never {
  throw new TypeError(`unhandled case: ${JSON.stringify(value)}`);
}
