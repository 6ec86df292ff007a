/** Turns whatever was thrown into a problem document (RFC 9457); nothing undeclared leaves the house. */
import type { FastifyReply } from 'fastify';
import { CallError, ContractError, type KernelCode, kernelErrors } from '../contract/errors.ts';
import type { RouteFacts } from './exchange.ts';
import { OVERLOADED } from './overload.ts';
import { rateLimitHeaders } from './rate-limit-headers.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** What a request fails with, as the caller may know it. */
export interface Failure {
  readonly code: string;
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[] | undefined;
  /** Extension members of the document. */
  readonly data?: Readonly<Record<string, unknown>> | undefined;
  /** How loudly it is logged: our failures are, refusals are not. */
  readonly level: 'error' | 'warn' | 'debug';
}

/** What Fastify and its plugins throw, in our terms. Their own messages are left out: they quote the request. */
const FRAMEWORK_ERRORS: Readonly<Record<string, readonly [KernelCode, string]>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: ['MALFORMED_BODY', 'the body is not well-formed JSON'],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['MALFORMED_BODY', 'the body is empty; send JSON'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['MALFORMED_BODY', 'the body is not as long as content-length says'],
  FST_ERR_CTP_BODY_TOO_LARGE: ['BODY_TOO_LARGE', 'the body has more than 102,400 bytes'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['UNSUPPORTED_MEDIA_TYPE', 'the body must come as application/json'],
  FST_ERR_BAD_URL: ['VALIDATION_FAILED', 'the path is not percent-encoded UTF-8'],
  FST_ERR_MAX_PARAM_LENGTH: ['VALIDATION_FAILED', 'a part of the path is longer than 100 characters'],
  FST_ERR_NOT_FOUND: ['ROUTE_NOT_FOUND', 'nothing is served under this path'],
  ECONNRESET: ['CANCELLED', 'the client went away while it sent the body'],
};

export function failureOf(error: unknown, route: RouteFacts): Failure {
  if (error instanceof ContractError) return ofContract(error, route);
  if (error === OVERLOADED) return { ...ofKernel(OVERLOADED.code, OVERLOADED.message), level: 'debug' };
  if (error instanceof CallError) return ofKernel(error.code, error.message, error.errors);
  const known = isOfTheFramework(error) ? FRAMEWORK_ERRORS[error.code] : undefined;
  return known ? ofKernel(...known) : ofKernel('INTERNAL');
}

/** Databases reset connections too, which is no doing of the client's. What went wrong with a body has a status by Fastify. */
function isOfTheFramework(error: unknown): error is { readonly code: string } {
  const { code, statusCode } = (error ?? {}) as { code?: unknown; statusCode?: unknown };
  return typeof code === 'string' && (code !== 'ECONNRESET' || statusCode === 400);
}

const INTERNAL_DETAIL = 'this is our fault, not yours; report the traceId if it stays';

/**
 * A failure of the kernel's own catalogue. The detail of INTERNAL is constant: what went wrong is in the log. Each 400
 * says what does not fit; where that is the request as a whole the path is empty.
 */
export function ofKernel(code: KernelCode, detail = '', errors?: Failure['errors']): Failure {
  const { status, title } = kernelErrors[code];
  const places = errors ?? (status === 400 ? [{ path: '', message: detail }] : undefined);
  return { code, status, title, detail: code === 'INTERNAL' ? INTERNAL_DETAIL : detail, errors: places, level: levelOf(status) };
}

function levelOf(status: number): Failure['level'] {
  if (status === 503) return 'warn';
  return status >= 500 ? 'error' : 'debug';
}

/**
 * A refusal leaves only through a route of the module that declares it. Another module's refusal is an answer to
 * its caller, who has to say what it means for the request; one that gets through is a bug, and its text may
 * tell of things that the client must not know.
 */
function ofContract(error: ContractError, route: RouteFacts): Failure {
  const declared = error.module === route.module && Object.hasOwn(route.errors, error.code);
  if (!declared) return ofKernel('INTERNAL');
  const { code, status, title, message, data } = error;
  return { code, status, title, detail: message, data, level: levelOf(status) };
}

/** Seconds after which a request that met an unavailable part may be repeated. */
export const RETRY_AFTER_SECONDS = 2;

export interface Occurrence {
  /** The path of the request, without its query. */
  readonly instance: string;
  readonly traceId: string;
}

/** Answers with the problem document. `retryAfterSeconds` and `limit` of a refusal's data go into the headers too. */
export function sendProblem(reply: FastifyReply, failure: Failure, occurrence: Occurrence): void {
  announceRetry(reply, failure);
  if (failure.status === 401) reply.header('www-authenticate', challenge(reply.request.headers.authorization));
  const body = Buffer.from(JSON.stringify(documentOf(failure, occurrence)));
  reply.code(failure.status).header('content-type', PROBLEM_TYPE).header('cache-control', 'no-store').send(body);
}

/** The members of the standard and ours come first and cannot be overridden by a refusal's data. */
export function documentOf(failure: Failure, { instance, traceId }: Occurrence): Record<string, unknown> {
  const { code, status, title, detail, errors, data } = failure;
  const own = { type: `urn:cleave:problem:${code}`, title, status, detail, instance, code, traceId, ...(errors && { errors }) };
  return { ...own, ...data, ...own };
}

/** A route may have said it better already. */
function announceRetry(reply: FastifyReply, { status, data }: Failure): void {
  const seconds = data?.['retryAfterSeconds'] ?? (status === 503 ? RETRY_AFTER_SECONDS : undefined);
  if (typeof seconds !== 'number' || reply.hasHeader('retry-after')) return;
  reply.header('retry-after', seconds);
  const limit = data?.['limit'];
  if (status === 429 && typeof limit === 'number') reply.headers(rateLimitHeaders({ limit, remaining: 0, resetSeconds: seconds }));
}

/** RFC 6750, section 3: a request that brought no token is not told of an error in it. */
function challenge(authorization: string | undefined): string {
  return authorization === undefined ? 'Bearer' : 'Bearer error="invalid_token"';
}
