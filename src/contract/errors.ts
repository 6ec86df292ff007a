/** Errors that cross a module's border. Both kinds keep their identity in process and over the wire. */
import type { Contract } from './contract.ts';

/** A business refusal: a code of the module's own catalogue. Never retried. */
export class ContractError extends Error {
  override readonly name = 'ContractError';
  readonly module: string;
  readonly code: string;
  readonly status: number;
  readonly title: string;
  /** JSON that belongs to the refusal, e.g. the ids that were not found; part of the problem document. */
  readonly data: Readonly<Record<string, unknown>> | undefined;

  constructor(init: { module: string; code: string; status: number; title: string; detail: string; data?: Record<string, unknown> }) {
    super(init.detail);
    this.module = init.module;
    this.code = init.code;
    this.status = init.status;
    this.title = init.title;
    this.data = init.data;
  }
}

type Code<C extends Contract> = keyof C['errors'] & string;

/** Makes the refusal `code` of a contract. `detail` names the value, what was expected and the remedy. */
export function refuse<C extends Contract>(contract: C, code: Code<C>, detail: string, data?: Record<string, unknown>): ContractError {
  const spec = contract.errors[code]!;
  return new ContractError({ module: contract.name, code, status: spec.status, title: spec.title, detail, ...(data && { data }) });
}

/** Narrows to a refusal of this contract with one of these codes. */
export function isRefusal<C extends Contract>(error: unknown, contract: C, ...codes: Code<C>[]): error is ContractError {
  return error instanceof ContractError && error.module === contract.name && (codes.length === 0 || codes.includes(error.code));
}

/** The kernel's own catalogue: what can go wrong with a call or a request whatever the module. */
export const kernelErrors = {
  VALIDATION_FAILED: { status: 400, title: 'The request is not valid', remedy: 'Mend what `errors` names.' },
  MALFORMED_REQUEST: { status: 400, title: 'The request is not HTTP', remedy: 'Send a well-formed HTTP/1.1 request.' },
  MALFORMED_BODY: { status: 400, title: 'The body cannot be read', remedy: 'Send well-formed JSON with content-type application/json.' },
  UNAUTHENTICATED: { status: 401, title: 'A valid token is needed', remedy: 'Sign in at POST /api/v1/users/authenticate and send the token as a bearer token.' },
  FORBIDDEN: { status: 403, title: 'The role may not do this', remedy: 'Use an account with one of the roles that the route names.' },
  ROUTE_NOT_FOUND: { status: 404, title: 'No such route', remedy: 'See /docs.' },
  METHOD_NOT_ALLOWED: { status: 405, title: 'The route does not take this method', remedy: 'See /docs.' },
  REQUEST_TIMEOUT: { status: 408, title: 'The request did not arrive in time', remedy: 'Send the whole request within 30 seconds, or what REQUEST_TIMEOUT_MS says.' },
  BODY_TOO_LARGE: { status: 413, title: 'The body is too large', remedy: 'Send at most 100 KiB.' },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, title: 'The content type is not taken', remedy: 'Send application/json.' },
  IDEMPOTENCY_KEY_REUSED: { status: 422, title: 'The idempotency key was used with another request', remedy: 'Use a new key for a new request.' },
  IDEMPOTENCY_IN_PROGRESS: { status: 409, title: 'The first request with this key is still running', remedy: 'Repeat the request a little later.' },
  RATE_LIMITED: { status: 429, title: 'Too many requests', remedy: 'Wait for the seconds that Retry-After names.' },
  HEADERS_TOO_LARGE: { status: 431, title: 'The headers are too large', remedy: 'Send at most 16 KiB of headers.' },
  INTERNAL: { status: 500, title: 'Something went wrong on our side', remedy: 'Report the traceId.' },
  UNAVAILABLE: { status: 503, title: 'A part of the shop that is needed is not available', remedy: 'Repeat after the seconds that Retry-After names.' },
  DEADLINE_EXCEEDED: { status: 503, title: 'It took too long', remedy: 'Repeat; a command may have been carried out, so send an idempotency key.' },
  VERSION_MISMATCH: { status: 503, title: 'Two parts of the shop do not fit together', remedy: 'Deploy services of one version.' },
  OUTCOME_UNKNOWN: { status: 503, title: 'It is not known whether it was done', remedy: 'Look whether it was; repeat it with the same idempotency key.' },
  CANCELLED: { status: 499, title: 'The caller went away', remedy: 'None.' },
} as const;

export type KernelCode = keyof typeof kernelErrors;

/**
 * A failure of the call itself, not of what it asked for.
 * DEADLINE_EXCEEDED: the callee may have done the work. UNAVAILABLE: it has not been reached. OUTCOME_UNKNOWN: the connection to a callee
 * in another process broke while a command was under way; it may have been carried out, and nobody is at work on it any more.
 */
export class CallError extends Error {
  override readonly name = 'CallError';
  readonly code: KernelCode;
  readonly status: number;
  readonly title: string;
  /** Where a value was invalid: JSON pointers with messages. */
  readonly errors: readonly { path: string; message: string }[] | undefined;
  /** With UNAVAILABLE: it was reached and broke off, which may have to do with what it was asked. */
  readonly underWay: boolean;

  constructor(code: KernelCode, detail: string, options: { cause?: unknown; errors?: readonly { path: string; message: string }[]; underWay?: boolean } = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = kernelErrors[code].status;
    this.title = kernelErrors[code].title;
    this.errors = options.errors;
    this.underWay = options.underWay ?? false;
  }
}

/**
 * Work that goes on after a commit of its own: whatever cannot be reached from there on, nobody may be told that nothing
 * has been done, and repeat it.
 * @throws CallError DEADLINE_EXCEEDED where the work met UNAVAILABLE; any other failure as it is
 */
export async function afterFirstCommit<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof CallError) || error.code !== 'UNAVAILABLE') throw error;
    throw new CallError('DEADLINE_EXCEEDED', `${error.message}; a part of the work has been done, and the rest may follow`, { cause: error });
  }
}
