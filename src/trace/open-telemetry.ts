/**
 * Spans by OpenTelemetry's SDK. Only this file and otlp.ts know it, and they are loaded only where traces are
 * recorded: the packages cost 12 MiB and 60 ms of a start.
 *
 * Contexts are handed over explicitly, so neither OpenTelemetry's global tracer nor its context manager is used.
 */
import { type Context, createTraceState, ROOT_CONTEXT, SpanKind, SpanStatusCode, type Span as OtelSpan, trace, TraceFlags, type Tracer } from '@opentelemetry/api';
import { type IdGenerator, RandomIdGenerator } from '@opentelemetry/sdk-trace-base';
import { errorTypeOf, isFailure, titleOf } from './failure.ts';
import { isRecorded, isSampled, parentIdOf, type TraceContext, traceIdOf, traceparentOf } from './trace-context.ts';
import type { AttributeValue, Span, SpanInit, Tracing } from './tracing.ts';

const KINDS = { internal: SpanKind.INTERNAL, server: SpanKind.SERVER, client: SpanKind.CLIENT, producer: SpanKind.PRODUCER, consumer: SpanKind.CONSUMER } as const;

/** Makes random ids, but for a trace that has one already: the log's lines carry it. */
export class TraceIds implements IdGenerator {
  readonly #random = new RandomIdGenerator();
  readonly generateSpanId = (): string => this.#random.generateSpanId();
  #next: string | undefined;

  readonly generateTraceId = (): string => {
    const id = this.#next ?? this.#random.generateTraceId();
    this.#next = undefined;
    return id;
  };

  /** The id of the trace that is begun next. */
  willBe(traceId: string): void {
    this.#next = traceId;
  }
}

export class OpenTelemetry implements Tracing {
  readonly #tracer: Tracer;
  readonly #ids: TraceIds;

  constructor(tracer: Tracer, ids: TraceIds) {
    this.#tracer = tracer;
    this.#ids = ids;
  }

  receive(given: TraceContext | undefined, init: SpanInit): Span {
    return this.#start(init, given ? contextOf(given, true) : ROOT_CONTEXT);
  }

  begin(parent: TraceContext, init: SpanInit): Span | undefined {
    if (!parent.beginsTrace) return this.join(parent, init);
    this.#ids.willBe(traceIdOf(parent));
    return this.#start(init, ROOT_CONTEXT);
  }

  join(parent: TraceContext, init: SpanInit): Span | undefined {
    return isRecorded(parent) ? this.#start(init, contextOf(parent, false)) : undefined;
  }

  #start({ name, kind, attributes, links }: SpanInit, context: Context): Span {
    const linked = links?.map((link) => ({ context: spanContextOf(link, false) }));
    return new OpenTelemetrySpan(this.#tracer.startSpan(name, { kind: KINDS[kind], attributes, startTime: now(), ...(linked && { links: linked }) }, context));
  }
}

class OpenTelemetrySpan implements Span {
  readonly #span: OtelSpan;
  #traceparent: string | undefined;

  constructor(span: OtelSpan) {
    this.#span = span;
  }

  get traceparent(): string {
    if (this.#traceparent === undefined) {
      const { traceId, spanId, traceFlags } = this.#span.spanContext();
      this.#traceparent = traceparentOf(traceId, spanId, (traceFlags & TraceFlags.SAMPLED) !== 0);
    }
    return this.#traceparent;
  }

  get tracestate(): string | undefined {
    return this.#span.spanContext().traceState?.serialize() || undefined;
  }

  set(name: string, value: AttributeValue): void {
    this.#span.setAttribute(name, value);
  }

  fail(type: string, message?: string): void {
    this.#span.setStatus({ code: SpanStatusCode.ERROR, ...(message !== undefined && { message }) });
    this.#span.setAttribute('error.type', type);
  }

  end(error?: unknown): void {
    if (error !== undefined) {
      const type = errorTypeOf(error);
      if (isFailure(error)) this.fail(type, titleOf(error));
      else this.#span.setAttribute('cleave.refusal', type);
    }
    this.#span.end(now());
  }
}

let timeOrigin = 0;

/**
 * Epoch milliseconds with fractions. By its own the SDK begins spans at whole milliseconds, in which a call in process
 * would begin before its caller. The clock of the machine is followed where it was set meanwhile.
 */
function now(): number {
  const elapsed = performance.now();
  const origin = Date.now() - elapsed;
  if (Math.abs(origin - timeOrigin) > CLOCK_WAS_SET_MS) timeOrigin = origin;
  return timeOrigin + elapsed;
}

const CLOCK_WAS_SET_MS = 5;

function contextOf(parent: TraceContext, isRemote: boolean): Context {
  return trace.setSpanContext(ROOT_CONTEXT, spanContextOf(parent, isRemote));
}

function spanContextOf(context: TraceContext, isRemote: boolean) {
  const { tracestate } = context;
  const traceFlags = isSampled(context) ? TraceFlags.SAMPLED : TraceFlags.NONE;
  return { traceId: traceIdOf(context), spanId: parentIdOf(context), traceFlags, isRemote, ...(tracestate !== undefined && { traceState: createTraceState(tracestate) }) };
}
