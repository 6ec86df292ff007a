/**
 * Spans, as the kernel's parts make them where calls, routes, events, saga steps and statements pass. Where nothing is
 * traced there is no `Tracing` at all: each part asks `tracing?.` and goes on.
 */
import type { Call } from '../calls/call.ts';
import type { TraceContext } from './trace-context.ts';

export type AttributeValue = string | number | boolean;
export type Attributes = Readonly<Record<string, AttributeValue>>;

export interface SpanInit {
  /** Of few different values: no ids. */
  readonly name: string;
  readonly kind: 'internal' | 'server' | 'client' | 'producer' | 'consumer';
  /** By OpenTelemetry's semantic conventions; what those do not name begins with `cleave.`. Never anything secret or personal. */
  readonly attributes: Attributes;
  /** Other spans that have to do with this one. */
  readonly links?: readonly TraceContext[] | undefined;
}

/** A span under way. It is itself the context of what happens in it. */
export interface Span extends TraceContext {
  set(name: string, value: AttributeValue): void;
  /** @param type what it failed with: a word of few different ones */
  fail(type: string): void;
  /** @param error what it failed with; its message is not recorded, see failure.ts */
  end(error?: unknown): void;
}

export interface Tracing {
  /** The span of a request. It continues the caller's trace, or begins one; whether it is recorded is decided here. */
  receive(given: TraceContext | undefined, init: SpanInit): Span;
  /** A span under `parent`, which may be the first one of its trace; none where the trace is not recorded. */
  begin(parent: TraceContext, init: SpanInit): Span | undefined;
  /** As `begin`, but none where it would be the first one: a look that finds nothing to do is no trace. */
  join(parent: TraceContext, init: SpanInit): Span | undefined;
}

/** Runs a piece of a module's work as a span of its own; the call that it is given has that span as its parent. */
export type InSpan = <T>(call: Call, init: SpanInit, work: (call: Call) => Promise<T>) => Promise<T>;

export function inSpan(tracing: Tracing | undefined): InSpan {
  return async (call, init, work) => {
    const span = tracing?.begin(call, init);
    if (!span) return work(call);
    try {
      const result = await work(call.with({ trace: span }));
      span.end();
      return result;
    } catch (error) {
      span.end(error);
      throw error;
    }
  };
}
