/** Everything that does not end in a route's own reply: thrown errors, unknown routes, broken requests. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ContractError } from '../contract/errors.ts';
import { Exchange, type RouteFacts } from './exchange.ts';
import { type Failure, failureOf, ofKernel, sendProblem } from './problem.ts';
import { commonHeaders } from './security-headers.ts';

/** @param unmatched stands for requests that reached no route */
export function handleErrors(app: FastifyInstance, unmatched: RouteFacts): void {
  const notFound = (request: FastifyRequest, reply: FastifyReply): void => answerUnmatched(app, request, reply, unmatched);
  app.setNotFoundHandler(notFound);
  app.setErrorHandler((error, request, reply) => {
    if (request.is404) notFound(request, reply);
    else answerError(error, request, reply, unmatched);
  });
}

/**
 * That there is no such route counts for more than what is wrong with the body that came to it. A route may say
 * so itself, for a file that is missing.
 */
function answerUnmatched(app: FastifyInstance, request: FastifyRequest, reply: FastifyReply, unmatched: RouteFacts): void {
  const allowed = methodsOf(app, pathOf(request));
  if (allowed.length === 0 || allowed.includes(request.method)) {
    fail(ofKernel('ROUTE_NOT_FOUND', 'nothing is served under this path; see /docs'), request, reply, unmatched);
  } else {
    reply.header('allow', allowed.join(', '));
    fail(ofKernel('METHOD_NOT_ALLOWED', `this path takes ${allowed.join(', ')}`), request, reply, unmatched);
  }
}

/** For Fastify's `frameworkErrors`: requests that the router cannot even look at. */
export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply, unmatched: RouteFacts): void {
  const { route } = exchangeOf(request, reply, unmatched);
  const failure = failureOf(error, route);
  fail(failure, request, reply, unmatched, error);
}

function fail(failure: Failure, request: FastifyRequest, reply: FastifyReply, unmatched: RouteFacts, error?: unknown): void {
  const exchange = exchangeOf(request, reply, unmatched);
  exchange.problem = failure.code;
  logFailure(failure, request, exchange.route, error);
  sendProblem(reply, failure, { instance: pathOf(request), traceId: exchange.traceId });
}

function logFailure(failure: Failure, request: FastifyRequest, route: RouteFacts, error: unknown): void {
  const { code, status, detail, level } = failure;
  const { log, method } = request;
  const facts = { method, route: route.url, code, status };
  if (level !== 'error') log[level]({ ...facts, detail }, 'request refused');
  else if (error instanceof ContractError) log.error({ ...facts, err: error, leaked: `${error.module}.${error.code}` }, leakIn(route));
  else log.error({ ...facts, err: error }, 'request failed');
}

function leakIn({ module }: RouteFacts): string {
  return `a refusal that ${module} does not declare reached one of its routes: catch it there and answer in the module's own terms`;
}

/** Requests that failed before the first hook of a route, or that have none, get their exchange here. */
function exchangeOf(request: FastifyRequest, reply: FastifyReply, unmatched: RouteFacts): Exchange {
  if (request.exchange) return request.exchange;
  request.exchange = new Exchange(unmatched, request, reply);
  reply.headers(commonHeaders(request, request.exchange));
  return request.exchange;
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** The methods that a path does take; asked only when the method of a request found no route. */
function methodsOf(app: FastifyInstance, path: string): string[] {
  return METHODS.filter((method) => app.findRoute({ method, url: path }) !== null);
}

/** Proxies may ask for `http://host/path` (RFC 9112, section 3.2.2); the host is nobody's business. */
function pathOf({ raw }: FastifyRequest): string {
  const path = (raw.url ?? '/').split('?', 1)[0]!;
  return path.startsWith('/') ? path : path.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]*/i, '') || '/';
}

