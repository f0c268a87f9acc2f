/** What the API refused or how it failed, as one sentence with the cure, and as far as programs must tell failures apart. */
import { describeError, FairleadError } from '../../base/errors/errors.ts';

export class ApiError extends FairleadError {
  /** HTTP status, also that inside a watch; undefined: there was no answer that could be read. */
  readonly status: number | undefined;
  /** Milliseconds for which the server asked to be left alone. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, details: { status?: number; retryAfterMs?: number; cause?: unknown } = {}) {
    super('FL_API', message, details.cause === undefined ? {} : { cause: details.cause });
    this.name = 'ApiError';
    this.status = details.status;
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** Nothing came for as long as the request allows. */
export class SilenceError extends ApiError {}

export function isStatus(error: unknown, ...statuses: readonly number[]): boolean {
  return error instanceof ApiError && error.status !== undefined && statuses.includes(error.status);
}

/**
 * An answer with another status than 2xx.
 * @param what the request, `GET https://10.96.0.1/api/v1/nodes`.
 * @param body as far as it was read; a Status of Kubernetes, or anything.
 * @param retryAfter the header: seconds.
 */
export function refusal(
  what: string,
  status: number,
  body: string,
  retryAfter: string | undefined,
  origin: string,
): ApiError {
  const seconds = /^\d{1,5}$/.test(retryAfter ?? '') ? Number(retryAfter) : undefined;
  return new ApiError(`${what}: ${status} ${excerpt(messageOf(body))}; ${cureOf(status, origin)}`, {
    status,
    ...(seconds === undefined ? {} : { retryAfterMs: seconds * 1000 }),
  });
}

/** No answer, or one that broke off. */
export function failure(what: string, error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? '';
  return new ApiError(`${what}: ${describeError(error)}${code === '' ? '' : ` (${code})`}; ${hint(code)}`);
}

/** An answer that is not what the API gives. */
export function garbage(what: string, reason: string): ApiError {
  return new ApiError(
    `${what}: ${excerpt(reason)}; look whether the address is that of the API server, and what is in between`,
  );
}

function cureOf(status: number, origin: string): string {
  if (status >= 300 && status < 400)
    return 'redirections are not followed; give the address of the API server itself';
  switch (status) {
    case 401:
      return `the credentials of ${origin} are wrong or expired: renew them, and compare the clocks of both machines`;
    case 403:
      return "give the account of the agent the rights of Fairlead's role";
    case 404:
      return 'look whether the object exists and whether the cluster serves this kind';
    case 409:
      return 'somebody else changed it first; read it again';
    case 410:
      return 'the server no longer knows that version; it is listed again';
    case 422:
      return 'the API does not accept the value; correct what it names';
    case 429:
      return 'the server is asked too much; it is asked again later';
    default:
      return status >= 500
        ? 'the server fails or is starting; it is asked again, and its log says more'
        : 'look whether the cluster is of a supported version';
  }
}

function hint(code: string): string {
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
    return "renew the server's certificate, or correct the clock of this machine";
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return "use an address that the server's certificate names, or set tls-server-name";
  if (/SELF_SIGNED|UNABLE_TO_(VERIFY|GET)|CERT_(SIGNATURE|UNTRUSTED)|INVALID_CA/.test(code))
    return 'another authority signed the certificate of the server; correct certificate-authority';
  if (code === 'EPROTO' || code.startsWith('ERR_SSL'))
    return 'look whether the port serves TLS and whether the client certificate is valid';
  if (code.startsWith('HPE_')) return 'this is no HTTP; correct the address of the API server';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'the name does not resolve; correct it or the DNS';
  return 'look whether the API server runs and is reached from here; it is asked again';
}

function messageOf(body: string): string {
  try {
    const status = JSON.parse(body) as { message?: unknown; reason?: unknown } | null;
    if (typeof status?.message === 'string') return status.message;
    if (typeof status?.reason === 'string') return status.reason;
  } catch {
    // No Status: the text itself says what it is.
  }
  return body;
}

/** One line that fits into a sentence, without control characters. */
export function excerpt(text: string): string {
  const line = text.replaceAll(/[\s\p{Cc}]+/gu, ' ').trim();
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}
