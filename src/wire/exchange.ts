/**
 * One request to one replica, and its answer, for as long as somebody waits for it.
 *
 *   sent --answered--> done
 *   sent --the deadline passes, or the caller gives up--> aborted: the callee sees its connection close
 *   sent --the replica cannot be connected to--> unreached: it has not heard of the request
 *   sent --the connection breaks--> lost: nobody knows whether the callee did its work
 */
import { watch, Watched } from '../calls/deadlines.ts';
import { CallError } from '../contract/errors.ts';
import { DRAINING_HEADER } from './protocol.ts';
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
export async function post(replica: Replica, request: WireRequest): Promise<WireAnswer> {
  const patience = new Patience(request);
  watch(patience, request.deadline);
  replica.underWay += 1;
  try {
    const { path, headers, body } = request;
    const answer = await replica.pool.request({ method: 'POST', path, headers, body, signal: patience.signal });
    replica.trust();
    const text = await answer.body.text();
    if (answer.headers[DRAINING_HEADER] !== undefined) throw new WireError('unreached', `${replica.origin} is shutting down`);
    return { status: answer.statusCode, text };
  } catch (error) {
    throw patience.reason ?? errorOf(error, replica);
  } finally {
    replica.underWay -= 1;
    patience.end();
  }
}

function errorOf(error: unknown, replica: Replica): Error {
  if (error instanceof WireError) return error;
  const { code = '', message } = error as { code?: string; message: string };
  if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') return new WireError('garbled', `${replica.origin} answers more than can be read`, error);
  replica.suspect();
  if (UNREACHED.has(code)) return new WireError('unreached', `${replica.origin} cannot be reached: ${message}`, error);
  return new WireError('lost', `the connection to ${replica.origin} broke: ${message}`, error);
}

/** How long the caller waits. */
class Patience extends Watched {
  readonly #request: WireRequest;
  readonly #abort = new AbortController();
  reason: CallError | undefined;

  constructor(request: WireRequest) {
    super();
    this.#request = request;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
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

  #stop(reason: CallError): void {
    this.reason = reason;
    this.#abort.abort();
  }
}
