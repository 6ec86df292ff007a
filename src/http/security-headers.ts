/** Headers of every reply but the docs', which are pages and have helmet's (docs.ts). */
import type { FastifyRequest } from 'fastify';
import type { Exchange } from './exchange.ts';

/**
 * No reply of the API is a document to be rendered, framed or guessed at. @fastify/helmet is not used for it:
 * it sets twelve headers through the raw response in two async hooks, which costs 16 µs a request where all the
 * rest costs 20, and most of them mean something to pages only. Whoever ends TLS in front of this process says
 * Strict-Transport-Security; over plain HTTP it must not be sent (RFC 6797, section 7.2).
 */
export function commonHeaders(request: FastifyRequest, exchange: Exchange): Record<string, string> {
  return {
    'x-request-id': request.id,
    traceparent: exchange.traceparent,
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'x-content-type-options': 'nosniff',
  };
}
