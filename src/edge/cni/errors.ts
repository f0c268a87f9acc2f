/** CNI errors (specification, "Error" and its list of codes): a number that runtimes act on, one sentence for people. */

/**
 * 1–99 are the specification's; 8 and 999 are what its Go library added; 100 and above are Fairlead's own.
 * docs/cni.md says what each means and what to do.
 */
export const CNI_CODES = {
  INCOMPATIBLE_VERSION: 1,
  UNSUPPORTED_FIELD: 2,
  UNKNOWN_CONTAINER: 3,
  INVALID_ENVIRONMENT: 4,
  IO_FAILURE: 5,
  UNDECODABLE: 6,
  INVALID_CONFIGURATION: 7,
  OWN_NAMESPACE: 8,
  TRY_AGAIN: 11,
  NOT_AVAILABLE: 50,
  NOT_AVAILABLE_AND_LIMITED: 51,
  ADDRESS_TAKEN: 100,
  ALREADY_ATTACHED: 101,
  NAMESPACE: 102,
  NOT_AS_ATTACHED: 103,
  KERNEL_REFUSED: 104,
  HOST_PORT_TAKEN: 105,
  INTERNAL: 999,
} as const;

export type CniCode = (typeof CNI_CODES)[keyof typeof CNI_CODES];

export class CniError extends Error {
  readonly code: CniCode;
  readonly details: string;

  /**
   * @param message one sentence that names the field, its value and the cure.
   * @param details more, for a closer look.
   */
  constructor(code: keyof typeof CNI_CODES, message: string, details = '') {
    super(message);
    this.name = 'CniError';
    this.code = CNI_CODES[code];
    this.details = details;
  }
}

/** A value as it may stand in a message: as JSON, and not longer than a line. */
export function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text;
}

const LONGEST_QUOTE = 100;
