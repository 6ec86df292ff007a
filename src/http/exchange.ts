/**
 * One request and its reply, from the first hook to the moment when the connection is done with both.
 *
 *   open --reply sent--> closed (recorded)
 *   open --client gone--> closed (recorded as 499, the call is cancelled)
 *   open --client sends no more, LEAVING_MS after the call began--> open, but the call is cancelled
 *
 * A client that has said all and one that closed its connection look alike: both send a FIN. The former sends it right after the
 * request and waits for the answer, the latter when its own time is over. So an early FIN changes nothing, a late one cancels
 * the call, and in either case the answer is written, if only that the call was cancelled.
 *
 * It listens to the reply's `close` itself: Fastify's onResponse hook does not run when the client has gone, and
 * costs two listeners and two clock reads more.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { Call } from '../calls/call.ts';
import type { ErrorSpec } from '../contract/contract.ts';
import type { RouteRecorder } from '../metrics/metrics.ts';
import type { Span, Tracing } from '../trace/tracing.ts';
import type { InHand } from './drain.ts';
import type { RouteLoad } from './overload.ts';
import { RequestLog } from './request-log.ts';
import { endRequestSpan, requestSpan } from './request-span.ts';
import { continueTrace, traceOf } from './trace.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** What the platform keeps of this request; for the kernel only. */
    exchange: Exchange | null;
  }
}

/** What the platform knows of a route, bound once when it is registered. */
export interface RouteFacts {
  /** The module that the route belongs to; `platform` for the kernel's own. */
  readonly module: string;
  readonly method: string;
  /** The pattern, not the URL. */
  readonly url: string;
  /** The module's catalogue: the refusals that may leave through this route. */
  readonly errors: Readonly<Record<string, ErrorSpec>>;
  readonly deadlineMs: number;
  readonly recorder: RouteRecorder;
  readonly inHand: InHand;
  readonly log: Logger;
  readonly tracing?: Tracing | undefined;
  readonly load?: RouteLoad | undefined;
}

export const DEFAULT_DEADLINE_MS = 10_000;

const CLIENT_CLOSED_REQUEST = 499;
/** A FIN that was sent with the request has come by then. */
const LEAVING_MS = 1_000;
const SLOW_SECONDS = 1;

export class Exchange {
  readonly route: RouteFacts;
  readonly traceparent: string;
  /** Code of the problem that the request was answered with, if it was one. */
  problem: string | undefined;
  readonly #tracestate: string | undefined;
  readonly #span: Span | undefined;
  readonly #request: FastifyRequest;
  readonly #reply: FastifyReply;
  readonly #startedAt = performance.now();
  #call: Call | undefined;
  #calledAt = 0;
  #abort: AbortController | undefined;
  #closed = false;
  #afterwards: (() => void) | undefined;

  constructor(route: RouteFacts, request: FastifyRequest, reply: FastifyReply) {
    this.route = route;
    const given = traceOf(request.headers);
    this.#span = route.tracing?.receive(given, requestSpan(route, request));
    this.traceparent = this.#span?.traceparent ?? continueTrace(given);
    this.#tracestate = given?.tracestate;
    this.#request = request;
    this.#reply = reply;
    const log = new RequestLog(route.log, request.id, this.traceId);
    request.log = log.asFastify();
    reply.log = request.log;
    route.inHand.add(reply.raw, this);
    route.load?.enter();
    reply.raw.on('close', () => this.#close());
  }

  get traceId(): string {
    return this.traceparent.slice(3, 35);
  }

  /** The context for what the handler calls; made on first use, since many handlers answer from memory. */
  get call(): Call {
    if (this.#call) return this.#call;
    this.#calledAt = performance.now();
    this.#abort = new AbortController();
    if (this.#reply.raw.destroyed) this.#abort.abort();
    this.#call = new Call({
      deadline: Date.now() + this.route.deadlineMs - (this.#calledAt - this.#startedAt),
      caller: this.route.module,
      requestId: this.#request.id,
      traceparent: this.traceparent,
      tracestate: this.#tracestate,
      actor: this.#request.actor ?? undefined,
      signal: this.#abort.signal,
    });
    return this.#call;
  }

  /** Runs one action when the connection is done with the reply; at once when it is already. */
  afterwards(action: () => void): void {
    if (this.#closed) action();
    else this.#afterwards = action;
  }

  clientSendsNoMore(): void {
    if (performance.now() - this.#calledAt >= LEAVING_MS) this.#abort?.abort();
  }

  #close(): void {
    const { raw } = this.#reply;
    this.#closed = true;
    this.#afterwards?.();
    this.route.inHand.delete(raw);
    this.route.load?.leave();
    const seconds = (performance.now() - this.#startedAt) / 1_000;
    const status = raw.writableFinished ? raw.statusCode : CLIENT_CLOSED_REQUEST;
    if (status === CLIENT_CLOSED_REQUEST) this.#abort?.abort();
    this.route.recorder.observe(seconds, status);
    if (this.#span) endRequestSpan(this.#span, status, this.problem);
    this.#logEnd(seconds, status);
  }

  /**
   * Only slow requests are worth a line at `info`: a line for each costs 12 µs where the rest of a request costs 20,
   * and what is asked of such lines the metrics answer. Failures are logged where they are mapped to problems.
   */
  #logEnd(seconds: number, status: number): void {
    const level = seconds >= SLOW_SECONDS ? 'info' : 'debug';
    if (!this.route.log.isLevelEnabled(level)) return;
    const { method, url } = this.route;
    this.#request.log[level]({ method, route: url, status, ms: Math.round(seconds * 10_000) / 10 }, 'request done');
  }
}
