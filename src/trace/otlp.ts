/**
 * Sends spans to a collector, OTLP over HTTP, behind everybody's back: batches are gathered in memory and sent by a
 * timer; what is too much is dropped. Whatever becomes of them, no request waits for it or hears of it.
 */
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import { AlwaysOffSampler, AlwaysOnSampler, BasicTracerProvider, BatchSpanProcessor, ParentBasedSampler, type Sampler, type SpanProcessor, TraceIdRatioBasedSampler } from '@opentelemetry/sdk-trace-base';
import type { Logger } from 'pino';
import type { KernelSettings } from '../settings/kernel-settings.ts';
import { uuidv7 } from '../uuid.ts';
import { OpenTelemetry, TraceIds } from './open-telemetry.ts';
import { ReportedExporter } from './reported-exporter.ts';
import type { RunningTracing } from './start.ts';

export function exportOverOtlp(url: string, settings: KernelSettings, log: Logger): RunningTracing {
  const exporter = new OTLPTraceExporter({
    url,
    headers: pairsOf(settings.OTEL_EXPORTER_OTLP_HEADERS),
    timeoutMillis: settings.OTEL_EXPORTER_OTLP_TIMEOUT,
    compression: settings.OTEL_EXPORTER_OTLP_COMPRESSION as never,
  });
  const processor = new BatchSpanProcessor(new ReportedExporter(exporter, log), {
    scheduledDelayMillis: settings.OTEL_BSP_SCHEDULE_DELAY,
    maxQueueSize: settings.OTEL_BSP_MAX_QUEUE_SIZE,
    maxExportBatchSize: Math.min(settings.OTEL_BSP_MAX_EXPORT_BATCH_SIZE, settings.OTEL_BSP_MAX_QUEUE_SIZE),
    // The exporter gives up before; this is for one that does not.
    exportTimeoutMillis: settings.OTEL_EXPORTER_OTLP_TIMEOUT + 5_000,
  });
  return recordTo(processor, settings);
}

/** Traces to any processor. */
export function recordTo(processor: SpanProcessor, settings: KernelSettings): RunningTracing {
  const ids = new TraceIds();
  const provider = new BasicTracerProvider({
    resource: defaultResource().merge(
      resourceFromAttributes({ 'service.instance.id': uuidv7(), ...pairsOf(settings.OTEL_RESOURCE_ATTRIBUTES), 'service.name': settings.OTEL_SERVICE_NAME }),
    ),
    sampler: samplerOf(settings),
    idGenerator: ids,
    spanProcessors: [processor],
  });
  return {
    tracing: new OpenTelemetry(provider.getTracer('cleave'), ids),
    stop: async (timeoutMs) => within(timeoutMs, provider.shutdown()),
  };
}

function samplerOf({ OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: ratio }: KernelSettings): Sampler {
  const isParentBased = name.startsWith('parentbased_');
  const own = { always_on: () => new AlwaysOnSampler(), always_off: () => new AlwaysOffSampler(), traceidratio: () => new TraceIdRatioBasedSampler(ratio) };
  const root = own[name.replace('parentbased_', '') as keyof typeof own]();
  return isParentBased ? new ParentBasedSampler({ root }) : root;
}

/** `name=value` pairs with commas between, percent-encoded as baggage is (https://www.w3.org/TR/baggage/). */
export function pairsOf(text: string | undefined): Record<string, string> {
  const pairs = (text ?? '').split(',').filter((pair) => pair.trim() !== '');
  return Object.fromEntries(pairs.map((pair) => [decoded(pair.slice(0, pair.indexOf('='))), decoded(pair.slice(pair.indexOf('=') + 1))]));
}

/** A lone percent sign means itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text.trim());
  } catch {
    return text.trim();
  }
}

async function within(timeoutMs: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  await Promise.race([work.catch(() => undefined), late]);
  clearTimeout(timer);
}
