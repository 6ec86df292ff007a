/**
 * One request to one replica, and its answer, for as long as somebody waits for it.
 *
 *   sent --answered--> done
 *   sent --the deadline passes, or the caller gives up--> aborted: the callee sees its connection close
 *   sent --the replica cannot be connected to--> unreached: it has not heard of the request
 *   sent --the connection breaks--> lost: nobody knows whether the callee did its work
 */
import type { Dispatcher } from 'undici';
import { watch, Watched } from '../calls/deadlines.ts';
import { CallError } from '../contract/errors.ts';
import type { Replica } from './replicas.ts';

export interface WireRequest {
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string;
  /** Epoch milliseconds. */
  readonly deadline: number;
  readonly cancellation?: AbortSignal | undefined;
}

export interface WireAnswer {
  readonly status: number;
  readonly text: string;
}

/** The request did not come to its answer. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly kind: 'unreached' | 'lost' | 'garbled';

  constructor(kind: WireError['kind'], message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
  }
}

/** What undici says where not a byte of the request has left. A connection that was made can time out, too, hence no ETIMEDOUT. */
export const UNREACHED: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_CLOSED']);

/**
 * @throws WireError
 * @throws CallError DEADLINE_EXCEEDED, CANCELLED
 */
export function post(replica: Replica, request: WireRequest): Promise<WireAnswer> {
  return new Promise((resolve, reject) => new Exchange(replica, request, resolve, reject).send());
}

/**
 * undici's `request` makes a stream of each answer and listens to a signal; this is told of the bytes and holds the handle by which it
 * can give up, which takes half the time.
 */
class Exchange extends Watched implements Dispatcher.DispatchHandler {
  readonly #replica: Replica;
  readonly #request: WireRequest;
  readonly #resolve: (answer: WireAnswer) => void;
  readonly #reject: (error: Error) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #reason: CallError | undefined;
  #status = 0;
  #chunks: Buffer[] = [];
  #isSettled = false;

  constructor(replica: Replica, request: WireRequest, resolve: (answer: WireAnswer) => void, reject: (error: Error) => void) {
    super();
    this.#replica = replica;
    this.#request = request;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  send(): void {
    const { path, headers, body, deadline } = this.#request;
    watch(this, deadline);
    this.#replica.underWay += 1;
    this.#replica.pool.dispatch({ method: 'POST', path, headers, body }, this);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#reason) controller.abort(this.#reason);
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.#status = status;
    this.#chunks = [];
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    this.#settle();
    this.#replica.trust();
    const bytes = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    this.#resolve({ status: this.#status, text: bytes.toString('utf8') });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#settle();
    this.#reject(this.#reason ?? errorOf(error, this.#replica));
  }

  get isCancelled(): boolean {
    return this.#request.cancellation?.aborted ?? false;
  }

  late(): void {
    this.#stop(new CallError('DEADLINE_EXCEEDED', `${this.#request.path} did not answer in time; it may still do its work`));
  }

  cancel(): void {
    this.#stop(new CallError('CANCELLED', 'the caller gave up'));
  }

  /** A request that waits for a connection has no handle yet: nobody waits for it any more, and it is not sent when its turn comes. */
  #stop(reason: CallError): void {
    this.#reason = reason;
    if (this.#controller) return this.#controller.abort(reason);
    this.#settle();
    this.#reject(reason);
  }

  #settle(): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.end();
    this.#replica.underWay -= 1;
  }
}

function errorOf(error: unknown, replica: Replica): Error {
  const { code = '', message } = error as { code?: string; message: string };
  if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') return new WireError('garbled', `${replica.origin} answers more than can be read`, error);
  replica.suspect();
  if (UNREACHED.has(code)) return new WireError('unreached', `${replica.origin} cannot be reached: ${message}`, error);
  return new WireError('lost', `the connection to ${replica.origin} broke: ${message}`, error);
}
