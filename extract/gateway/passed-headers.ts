/** What of a message's header goes on to the other side: all of it, but for what concerns one connection only. */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import type { FastifyRequest } from 'fastify';

/** RFC 9110, section 7.6.1; `trailer` announces what is not passed on. */
const HOP_BY_HOP = ['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade'];

/**
 * `host` is the other side's own. Nobody need meet expectations (RFC 9110, section 10.1.1), and Node.js has answered this one. What a client
 * says of forwarding is told anew, as far as it is believed.
 */
const TOLD_ANEW = ['host', 'expect', 'forwarded', 'x-request-id', 'traceparent', 'tracestate', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-port'];

const FROM_CLIENT: ReadonlySet<string> = new Set([...HOP_BY_HOP, ...TOLD_ANEW]);
/** The request and its trace have their names from the gateway, whose reply says them. */
const FROM_SERVICE: ReadonlySet<string> = new Set([...HOP_BY_HOP, 'x-request-id', 'traceparent']);

/** Names and values in turn, as they came. @param withBody whether a body follows */
export function requestHeaders(request: FastifyRequest, withBody: boolean): string[] {
  const { rawHeaders, headers } = request.raw;
  const named = namedByConnection(headers.connection);
  const passed: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    if (FROM_CLIENT.has(name) || named?.has(name) || (!withBody && name === 'content-length')) continue;
    passed.push(name, rawHeaders[i + 1]!);
  }
  const { call } = request;
  passed.push('x-request-id', call.requestId, 'traceparent', call.traceparent, 'x-forwarded-for', request.ip, 'x-forwarded-proto', request.protocol);
  if (request.host) passed.push('x-forwarded-host', request.host);
  if (call.tracestate !== undefined) passed.push('tracestate', call.tracestate);
  return passed;
}

/** Adds what a service answered to the headers that a reply has already, which give way. */
export function addReplyHeaders(reply: OutgoingHttpHeaders, answered: IncomingHttpHeaders): void {
  const named = namedByConnection(answered.connection);
  for (const name of Object.keys(answered)) {
    if (!FROM_SERVICE.has(name) && !named?.has(name)) reply[name] = answered[name];
  }
}

/** Headers that are about this connection because `Connection` says so; nothing in the usual cases. */
function namedByConnection(connection: string | undefined): ReadonlySet<string> | undefined {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return undefined;
  return new Set(connection.split(',').map((name) => name.trim().toLowerCase()));
}
