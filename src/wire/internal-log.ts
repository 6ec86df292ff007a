/**
 * What the internal listener logs of what it has served, a line for each call and for each event, so that all lines of one request, in
 * whatever service, are found by its trace id. At `debug`, as other requests that went well are: see exchange.ts for what a line costs.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { EventEnvelope } from '../contract/types.ts';
import { requestIdOf, traceOf } from '../http/trace.ts';

/** `config` of an internal route. */
export interface InternalRoute {
  readonly module: string;
  readonly operation?: string;
  readonly subscriber?: string;
}

/** Nothing is added to requests where nobody would read of them. */
export function logServed(app: FastifyInstance, log: Logger): void {
  if (!log.isLevelEnabled('debug')) return;
  app.addHook('onResponse', (request, reply, done) => {
    const { module, operation, subscriber } = request.routeOptions.config as unknown as Partial<InternalRoute>;
    const facts = { module, status: reply.statusCode, ms: Math.round(reply.elapsedTime * 10) / 10 };
    if (operation !== undefined) log.debug({ ...facts, operation, reqId: requestIdOf(request.headers), traceId: traceOf(request.headers)?.traceparent.slice(3, 35) }, 'call answered');
    for (const { id, type, requestId, traceparent } of eventsIn(request)) log.debug({ ...facts, subscriber, eventId: id, eventType: type, reqId: requestId, traceId: traceparent.slice(3, 35) }, 'event taken');
    done();
  });
}

function eventsIn({ body }: FastifyRequest): readonly EventEnvelope[] {
  const { events } = (body ?? {}) as { events?: unknown };
  return Array.isArray(events) ? (events as EventEnvelope[]).filter(({ traceparent }) => typeof traceparent === 'string') : [];
}
