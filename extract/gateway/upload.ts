/**
 * The body of a client's request on its way to a service: as it comes, held back when the service is slower.
 *
 * The request itself cannot be handed over. Whoever sends a body destroys it when the answer comes before its end, and destroying a
 * request of Node.js closes the connection on which its answer is yet to go out. Destroyed, this one lets the rest run dry.
 *
 * A service that refuses a large body closes the connection on it, and with more on its way its answer is lost as often as not. So of a body
 * that says that it is too large a byte is handed on, which brings the head on its way, and of another one no more than shows it: the
 * service answers by that.
 */
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';

export class Upload extends Readable {
  readonly #source: IncomingMessage;
  readonly #limit: number;
  #begun = false;
  #bytes = 0;

  /** @param limit bytes that a service takes */
  constructor(source: IncomingMessage, limit: number) {
    super();
    this.#source = source;
    this.#limit = limit;
  }

  get isTooLarge(): boolean {
    return this.#bytes > this.#limit || this.#saysSo;
  }

  get #saysSo(): boolean {
    return Number(this.#source.headers['content-length'] ?? 0) > this.#limit;
  }

  override _read(): void {
    if (!this.#begun) this.#begin();
    else if (!this.isTooLarge) this.#source.resume();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (this.#begun) {
      this.#source.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose);
      this.#source.resume();
    }
    done(error);
  }

  /** Nothing is taken from the client before the service can have it, so that another one can be tried until then. */
  #begin(): void {
    this.#begun = true;
    this.#source.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes += chunk.length;
    const hasRoom = this.push(this.#saysSo ? chunk.subarray(0, 1) : chunk);
    if (!hasRoom || this.isTooLarge) this.#source.pause();
  };

  readonly #onEnd = (): void => {
    this.push(null);
  };

  readonly #onClose = (): void => {
    if (!this.#source.complete) this.destroy(new Error('the client went away while it sent the body'));
  };
}

/** Whether a body follows. What comes with GET and HEAD means nothing (RFC 9110, section 9.3.1), and no route looks at it. */
export function hasBody({ method, headers }: IncomingMessage): boolean {
  if (method === 'GET' || method === 'HEAD') return false;
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}
