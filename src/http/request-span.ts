/** The span of a request, by the semantic conventions for HTTP servers (https://opentelemetry.io/docs/specs/semconv/http/http-spans/). */
import type { FastifyRequest } from 'fastify';
import type { Attributes, Span, SpanInit } from '../trace/tracing.ts';

export interface Routed {
  readonly module: string;
  /** The pattern. */
  readonly url: string;
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'CONNECT', 'TRACE', 'QUERY']);
const HIDDEN = 'REDACTED';
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const CLIENT_CLOSED_REQUEST = 499;
const SERVER_ERROR = 500;

/** No query, no address and no user agent: who asks, and for what, is not for a trace to tell. */
export function requestSpan(route: Routed, request: FastifyRequest): SpanInit {
  const pattern = route.url.startsWith('/') ? route.url : undefined;
  const method = METHODS.has(request.method) ? request.method : '_OTHER';
  const known = method === '_OTHER' ? 'HTTP' : method;
  const attributes: Attributes = {
    'http.request.method': method,
    'url.scheme': request.protocol,
    'url.path': shownPath(request.raw.url ?? '/', pattern),
    'network.protocol.version': request.raw.httpVersion,
    'cleave.module': route.module,
    'cleave.request.id': request.id,
    ...(pattern !== undefined && { 'http.route': pattern }),
  };
  return { name: pattern === undefined ? known : `${known} ${pattern}`, kind: 'server', attributes };
}

/** @param problem code of the problem document that was answered */
export function endRequestSpan(span: Span, status: number, problem: string | undefined): void {
  if (status === CLIENT_CLOSED_REQUEST) span.set('cleave.problem', 'CANCELLED');
  else span.set('http.response.status_code', status);
  if (problem !== undefined) span.set('cleave.problem', problem);
  if (status >= SERVER_ERROR) span.fail(problem ?? String(status));
  span.end();
}

/** Of what stands in the place of a parameter only ids are shown: people put anything there. */
function shownPath(target: string, pattern: string | undefined): string {
  if (pattern === undefined) return `/${HIDDEN}`;
  const given = target.split('?', 1)[0]!.split('/');
  const shown = pattern.split('/').map((part, place) => (isParameter(part) ? idOr(HIDDEN, given[place]) : part));
  return shown.join('/');
}

function isParameter(part: string): boolean {
  return part.includes(':') || part.includes('*');
}

function idOr(other: string, given: string | undefined): string {
  return given !== undefined && UUID.test(given) ? given : other;
}
