/** Spans as a collector would get them, kept in memory. OpenTelemetry is loaded for the tests that ask for it. */
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { type KernelSettings, kernelSettings } from '../settings/kernel-settings.ts';
import { readSettings } from '../settings/read-settings.ts';
import type { Tracing } from '../trace/tracing.ts';
import type { TestScope } from './scope.ts';

export interface RecordedSpan {
  readonly name: string;
  readonly kind: string;
  readonly traceId: string;
  readonly id: string;
  readonly parentId: string | undefined;
  readonly tracestate: string | undefined;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly failed: boolean;
  /** Words that go with a failure. */
  readonly message: string | undefined;
  /** Ids of spans that it links to. */
  readonly links: readonly string[];
  /** Epoch milliseconds. */
  readonly start: number;
  readonly end: number;
}

export interface SpanRecorder {
  readonly tracing: Tracing;
  /** All that have ended so far. */
  spans(): RecordedSpan[];
  /** Everything that would have left the process, as text. */
  text(): string;
  forget(): void;
}

/** @param env `OTEL_…` settings, e.g. a sampler */
export async function recordSpans(t: TestScope, env: Readonly<Record<string, string>> = {}): Promise<SpanRecorder> {
  const { InMemorySpanExporter, SimpleSpanProcessor } = await import('@opentelemetry/sdk-trace-base');
  const { recordTo } = await import('../trace/otlp.ts');
  const exporter = new InMemorySpanExporter();
  const { tracing, stop } = recordTo(new SimpleSpanProcessor(exporter), readSettings(kernelSettings, env).value as KernelSettings);
  t.teardown(async () => stop(1_000));
  return {
    tracing,
    spans: () => exporter.getFinishedSpans().map(recorded),
    text: () => JSON.stringify(exporter.getFinishedSpans().map(({ name, attributes, status, events, links, resource }) => ({ name, attributes, status, events, links, resource: resource.attributes }))),
    forget: () => exporter.reset(),
  };
}

const KINDS = ['internal', 'server', 'client', 'producer', 'consumer'];
const ERROR = 2;

function recorded(span: ReadableSpan): RecordedSpan {
  const { traceId, spanId, traceState } = span.spanContext();
  return {
    name: span.name,
    kind: KINDS[span.kind]!,
    traceId,
    id: spanId,
    parentId: span.parentSpanContext?.spanId,
    tracestate: traceState?.serialize(),
    attributes: span.attributes,
    failed: span.status.code === ERROR,
    message: span.status.message,
    links: span.links.map(({ context }) => context.spanId),
    start: milliseconds(span.startTime),
    end: milliseconds(span.endTime),
  };
}

function milliseconds([seconds, nanoseconds]: readonly [number, number]): number {
  return seconds * 1_000 + nanoseconds / 1e6;
}
