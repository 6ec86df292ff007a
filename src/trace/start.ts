/** Starts to trace where the settings ask for it; where they do not, nothing of OpenTelemetry is loaded. */
import type { Logger } from 'pino';
import type { KernelSettings } from '../settings/kernel-settings.ts';
import type { Tracing } from './tracing.ts';

export interface RunningTracing {
  readonly tracing: Tracing;
  /** Sends what is left, as far as that can be done within the time. Never rejects. */
  stop(timeoutMs: number): Promise<void>;
}

export async function startTracing(settings: KernelSettings, log: Logger): Promise<RunningTracing | undefined> {
  const url = endpointOf(settings);
  if (url === undefined || settings.OTEL_SDK_DISABLED) return undefined;
  const { exportOverOtlp } = await import('./otlp.ts');
  return exportOverOtlp(url, settings, log);
}

function endpointOf(settings: KernelSettings): string | undefined {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: all, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: traces } = settings;
  return traces ?? (all && `${all.replace(/\/$/, '')}/v1/traces`);
}
