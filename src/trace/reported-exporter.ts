/**
 * An exporter that says once when the collector cannot be reached, and once when it can be again.
 *
 *   reached --a batch fails: one warning--> out of reach --further batches fail: nothing--> out of reach
 *   out of reach --a batch gets through: one line--> reached
 */
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import type { Logger } from 'pino';

type Done = Parameters<SpanExporter['export']>[1];

const SUCCESS = 0;

export class ReportedExporter implements SpanExporter {
  readonly #exporter: SpanExporter;
  readonly #log: Logger;
  #isOutOfReach = false;
  #lost = 0;

  constructor(exporter: SpanExporter, log: Logger) {
    this.#exporter = exporter;
    this.#log = log;
  }

  /** Always ends well for who asks: there is nothing that it could do. */
  export(spans: ReadableSpan[], done: Done): void {
    this.#exporter.export(spans, ({ code, error }) => {
      if (code === SUCCESS) this.#reached();
      else this.#failed(spans.length, error);
      done({ code: SUCCESS });
    });
  }

  async forceFlush(): Promise<void> {
    await this.#exporter.forceFlush?.();
  }

  async shutdown(): Promise<void> {
    await this.#exporter.shutdown();
  }

  #reached(): void {
    if (this.#isOutOfReach) this.#log.info({ lost: this.#lost }, 'the collector takes traces again; the spans that were lost meanwhile are not repeated');
    this.#isOutOfReach = false;
    this.#lost = 0;
  }

  /** What a collector answers with is not logged: it may be a whole page. */
  #failed(spans: number, error: Error | undefined): void {
    this.#lost += spans;
    if (this.#isOutOfReach) return;
    this.#isOutOfReach = true;
    const { message, code } = (error ?? {}) as { message?: string; code?: unknown };
    this.#log.warn({ reason: message, code }, 'the collector does not take traces; their spans are lost until it does, and this is not said again meanwhile');
  }
}
