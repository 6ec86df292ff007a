/**
 * One request on its way through the gateway, and its answer on the way back. Neither is held: each side goes as fast as the other takes it.
 *
 *   sending --the body is too large--> sending, but no more of the body: the service says what is wrong, 413 or what it looks at before
 *   sending --the replica cannot be connected to--> sending, to another one, once: nothing has left yet; else 503 UNAVAILABLE
 *   sending --the connection breaks--> 503; OUTCOME_UNKNOWN where something may have been done
 *   sending --the deadline passes--> 503 DEADLINE_EXCEEDED
 *   sending --the answer begins--> answering
 *   answering --it ends--> done
 *   answering --it breaks off, or one side says or takes nothing for as long as a deadline--> the client's connection is cut, so that half an answer is not taken for one
 *   sending --the client closes its side after a second or more--> 499 CANCELLED, for one that listens all the same; aborted
 *   any --the client goes away--> aborted: the service sees its connection close
 *
 * Nothing that may have been sent is sent again: the layers behind repeat what is safe to repeat, and two layers that do multiply.
 */
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Dispatcher } from 'undici';
import { Watched, watch, watchDeadline } from '../../src/calls/deadlines.ts';
import { CallError } from '../../src/contract/errors.ts';
import { UNREACHED } from '../../src/wire/exchange.ts';
import type { Replica, Replicas } from '../../src/wire/replicas.ts';
import { addReplyHeaders, requestHeaders } from './passed-headers.ts';
import { hasBody, Upload } from './upload.ts';

const TRIES = 2;

export interface PassageOptions {
  readonly module: string;
  readonly replicas: Replicas;
  /** Bytes of a body that services take. */
  readonly bodyLimit: number;
  /** Longest pause within an answer. */
  readonly silenceMs: number;
}

export class Passage extends Watched implements Dispatcher.DispatchHandler {
  readonly #options: PassageOptions;
  readonly #request: FastifyRequest;
  readonly #reply: FastifyReply;
  readonly #raw: ServerResponse;
  #replica: Replica | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #upload: Upload | undefined;
  /** That the client takes what it has been sent. */
  #draining: Watched | undefined;
  #tries = 0;
  #over = false;

  constructor(options: PassageOptions, request: FastifyRequest, reply: FastifyReply) {
    super();
    this.#options = options;
    this.#request = request;
    this.#reply = reply;
    this.#raw = reply.raw;
  }

  begin(): void {
    watch(this, this.#request.call.deadline);
    this.#raw.on('close', () => this.#clientIsDone());
    this.#send(this.#options.replicas.choose(this.#options.module));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#over) controller.abort(new Error('nobody waits for it any more'));
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, answered: IncomingHttpHeaders): void {
    if (status < 200) return;
    this.#replica!.trust();
    this.end();
    this.#reply.hijack();
    const headers = this.#reply.getHeaders() as OutgoingHttpHeaders;
    addReplyHeaders(headers, answered);
    this.#raw.writeHead(status, headers);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#raw.write(chunk)) return;
    controller.pause();
    // undici has no time-out for an answer that is paused, and a client that takes nothing would hold a connection to the service.
    const draining = watchDeadline(Date.now() + this.#options.silenceMs, () => {
      this.#cut();
      controller.abort(new Error('the client takes nothing'));
    });
    this.#draining = draining;
    this.#raw.once('drain', () => {
      draining.end();
      controller.resume();
    });
  }

  onResponseEnd(): void {
    this.#finish();
    this.#raw.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error & { code?: string }): void {
    if (this.#over) return;
    if (this.#raw.headersSent) return this.#cut();
    if (!UNREACHED.has(error.code ?? '')) return this.#fail(this.#lost(error));
    this.#replica!.suspect();
    const other = this.#tries < TRIES ? this.#options.replicas.choose(this.#options.module, this.#replica) : undefined;
    if (other === undefined || other === this.#replica) return this.#fail(this.#unreached(error));
    this.#replica!.underWay -= 1;
    this.#send(other);
  }

  late(): void {
    this.#fail(new CallError('DEADLINE_EXCEEDED', `${this.#options.module} did not answer in time; it may still do its work`));
    this.#controller?.abort(new Error('the deadline has passed'));
  }

  /** The client has closed its side so late that it has given up (decision 0017); one that resets the connection closes the reply. */
  get isCancelled(): boolean {
    return this.#request.call.cancellation?.aborted ?? false;
  }

  cancel(): void {
    this.#fail(new CallError('CANCELLED', 'the client gave up'));
    this.#controller?.abort(new Error('the client has given up'));
  }

  #send(replica: Replica | undefined): void {
    if (!replica) return this.#fail(this.#unreached());
    this.#replica = replica;
    this.#tries += 1;
    replica.underWay += 1;
    const withBody = hasBody(this.#request.raw);
    this.#upload = withBody ? new Upload(this.#request.raw, this.#options.bodyLimit) : undefined;
    replica.pool.dispatch(
      {
        path: targetOf(this.#request.raw.url!),
        method: this.#request.method,
        headers: requestHeaders(this.#request, withBody),
        body: this.#upload ?? null,
        bodyTimeout: this.#options.silenceMs,
      },
      this,
    );
  }

  #clientIsDone(): void {
    if (this.#over) return;
    this.#finish();
    this.#controller?.abort(new Error('the client has gone'));
  }

  #cut(): void {
    this.#finish();
    this.#raw.destroy();
  }

  #fail(error: CallError): void {
    if (this.#over) return;
    this.#finish();
    if (!this.#raw.destroyed) this.#reply.send(error);
  }

  #finish(): void {
    this.#over = true;
    this.#draining?.end();
    this.end();
    if (this.#replica) this.#replica.underWay -= 1;
  }

  #unreached(cause?: Error): CallError {
    return new CallError('UNAVAILABLE', `${this.#options.module} cannot be reached`, { cause });
  }

  #lost(cause: Error & { code?: string }): CallError {
    if (this.#upload?.isTooLarge) return new CallError('BODY_TOO_LARGE', `the body has more than ${this.#options.bodyLimit.toLocaleString('en')} bytes`, { cause });
    if (cause.code === 'UND_ERR_INVALID_ARG') return new CallError('MALFORMED_REQUEST', 'the request cannot be passed on', { cause });
    if (this.#request.method === 'GET' || this.#request.method === 'HEAD') return this.#unreached(cause);
    return new CallError('OUTCOME_UNKNOWN', `the connection to ${this.#options.module} broke; the request may have been carried out`, { cause });
  }
}

/** Path and query. Proxies may ask for `http://host/path` (RFC 9112, section 3.2.2). */
function targetOf(url: string): string {
  if (url.startsWith('/')) return url;
  const target = url.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '');
  return target.startsWith('/') ? target : `/${target}`;
}
