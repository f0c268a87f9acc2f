/** Failures as the Kubernetes API reports them: a Status with a code, a reason and one sentence. */

/** API conventions, "Response Status Kind": each reason has one HTTP code here. */
export const REASON_CODES = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  AlreadyExists: 409,
  Conflict: 409,
  Expired: 410,
  RequestEntityTooLarge: 413,
  UnsupportedMediaType: 415,
  Invalid: 422,
  InternalError: 500,
  Timeout: 504,
} as const;

export type Reason = keyof typeof REASON_CODES;

/** One thing that is wrong with one field. */
export type Cause = { field: string; message: string; reason?: string };

export type Details = {
  name?: string;
  group?: string;
  kind?: string;
  uid?: string;
  causes?: readonly Cause[];
};

export class ApiFailure extends Error {
  readonly reason: Reason;
  readonly details: Details;

  constructor(reason: Reason, message: string, details: Details = {}) {
    super(message);
    this.name = 'ApiFailure';
    this.reason = reason;
    this.details = details;
  }
}

/** The Status object of whatever was thrown; what is no ApiFailure is an internal error. */
export function failureStatus(error: unknown): { code: number; body: object } {
  const failure =
    error instanceof ApiFailure
      ? error
      : new ApiFailure(
          'InternalError',
          `Internal error occurred: ${error instanceof Error ? error.message : String(error)}`,
        );
  const code = REASON_CODES[failure.reason];
  return {
    code,
    body: {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: failure.message,
      reason: failure.reason,
      // Always there: clients look into it without asking whether it is (kubectl debug, of a subresource that is not).
      details: failure.details,
      code,
    },
  };
}

/** Everything that is wrong with one object, in one answer. */
export function invalid(
  kind: { kind: string; group: string },
  name: string,
  causes: readonly Cause[],
): ApiFailure {
  const said = causes.map(({ field, message }) => `${field}: ${message}`);
  const full = kind.group === '' ? kind.kind : `${kind.kind}.${kind.group}`;
  return new ApiFailure(
    'Invalid',
    `${full} ${JSON.stringify(name)} is invalid: ${said.length > 1 ? `[${said.join(', ')}]` : said[0]}`,
    {
      name,
      kind: kind.kind,
      ...(kind.group === '' ? {} : { group: kind.group }),
      causes: causes.map(({ field, message, reason }) => ({
        reason: reason ?? 'FieldValueInvalid',
        message,
        field,
      })),
    },
  );
}
