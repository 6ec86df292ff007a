/** Where a piece of work stands in which trace: what W3C Trace Context (https://www.w3.org/TR/trace-context/) passes on. */
export interface TraceContext {
  /** Version 00; its parent id is that of the span that whatever follows is a child of. */
  readonly traceparent: string;
  /** What other vendors' tracers passed along; never looked into. */
  readonly tracestate?: string | undefined;
  /** No span of the trace has been made yet, so the parent id is nobody's. */
  readonly beginsTrace?: boolean | undefined;
}

export function traceIdOf({ traceparent }: TraceContext): string {
  return traceparent.slice(3, 35);
}

export function parentIdOf({ traceparent }: TraceContext): string {
  return traceparent.slice(36, 52);
}

/** Whether who began the trace wants it to be recorded; all others follow. */
export function isSampled({ traceparent }: TraceContext): boolean {
  return (Number.parseInt(traceparent.slice(53, 55), 16) & 1) === 1;
}

/** Whether what is done now is part of a trace that is recorded. */
export function isRecorded(context: TraceContext): boolean {
  return !context.beginsTrace && isSampled(context);
}

export function traceparentOf(traceId: string, spanId: string, sampled: boolean): string {
  return `00-${traceId}-${spanId}-0${sampled ? 1 : 0}`;
}
