/**
 * The log of one request: made with every request, turned into a pino child (1 µs) only when somebody writes
 * to it, which few requests do.
 */
import type { FastifyBaseLogger } from 'fastify';
import type { ChildLoggerOptions, Level, Logger } from 'pino';

type Entry = Parameters<Logger['info']>;

export class RequestLog {
  readonly #parent: Logger;
  readonly #reqId: string;
  readonly #traceId: string;
  #child: Logger | undefined;

  constructor(parent: Logger, reqId: string, traceId: string) {
    this.#parent = parent;
    this.#reqId = reqId;
    this.#traceId = traceId;
  }

  get level(): string {
    return this.#parent.level;
  }

  get msgPrefix(): string | undefined {
    return this.#parent.msgPrefix;
  }

  isLevelEnabled(level: string): boolean {
    return this.#parent.isLevelEnabled(level);
  }

  child(bindings: Record<string, unknown>, options?: ChildLoggerOptions): Logger {
    return this.#logger().child(bindings, options);
  }

  trace(...entry: Entry): void {
    this.#write('trace', entry);
  }

  debug(...entry: Entry): void {
    this.#write('debug', entry);
  }

  info(...entry: Entry): void {
    this.#write('info', entry);
  }

  warn(...entry: Entry): void {
    this.#write('warn', entry);
  }

  error(...entry: Entry): void {
    this.#write('error', entry);
  }

  fatal(...entry: Entry): void {
    this.#write('fatal', entry);
  }

  silent(): void {}

  /** What Fastify and the handlers see: the methods of a pino logger that write. */
  asFastify(): FastifyBaseLogger {
    return this as unknown as FastifyBaseLogger;
  }

  #write(level: Level, entry: Entry): void {
    if (this.#parent.isLevelEnabled(level)) this.#logger()[level](...entry);
  }

  #logger(): Logger {
    this.#child ??= this.#parent.child({ reqId: this.#reqId, traceId: this.#traceId });
    return this.#child;
  }
}
