/** The shop's public API, asked by somebody who knows what an answer that did not come may mean. */
import { setTimeout as sleep } from 'node:timers/promises';

export const API = '/api/v1';

export interface Question {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below the base path. */
  readonly path: string;
  readonly token?: string | undefined;
  readonly body?: unknown;
  /** Idempotency key. */
  readonly key?: string | undefined;
}

export interface Answer {
  readonly status: number;
  // eslint-disable-next-line typescript/no-explicit-any -- answers are of any shape
  readonly body: any;
  readonly headers: Headers;
}

/** `unreached`: nobody listens there, so nothing was done. `lost`: the connection ended before the answer came, and it may have been done. */
export type Outcome = Answer | 'unreached' | 'lost';

/** Nobody waits for ever; the shop itself gives a request up long before. */
const ANSWER_MS = 30_000;
const PAUSE_MS = 25;
/** For what is never answered. */
const PATIENCE_MS = 60_000;

export interface ApiInit {
  readonly url: string;
  /** Hears of answers that the shop may never give. */
  complain(complaint: string): void;
  /** Hears of every answer. */
  heard?(question: Question, outcome: Outcome): void;
}

export class Api {
  readonly #init: ApiInit;

  constructor(init: ApiInit) {
    this.#init = init;
  }

  /** Asks once. */
  async once(question: Question): Promise<Outcome> {
    const outcome = await this.#send(question);
    this.#judge(question, outcome);
    this.#init.heard?.(question, outcome);
    return outcome;
  }

  /**
   * Asks until there is an answer, as far as it is safe to ask again: a command without a key is repeated only where it
   * cannot have been done.
   * @returns `lost` where it may have been done and must not be repeated
   * @throws Error when the shop cannot be had for a minute
   */
  async ask(question: Question): Promise<Answer | 'lost'> {
    const repeatable = question.method !== 'POST' || question.key !== undefined;
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      const outcome = await this.once(question);
      if (outcome === 'lost' && !repeatable) return outcome;
      if (typeof outcome === 'object' && !isPassing(outcome)) return outcome;
      if (typeof outcome === 'object' && !repeatable && mayBeDone(outcome)) return 'lost';
      if (performance.now() > until) throw new Error(`${question.method} ${question.path} got no answer for ${PATIENCE_MS / 1_000} s; the last one was ${told(outcome)}`);
      await sleep(PAUSE_MS);
    }
  }

  /** As `ask`, where anything but success means that the run itself is broken. */
  async mustDo(question: Question): Promise<Answer['body']> {
    const answer = await this.ask(question);
    if (answer === 'lost' || answer.status >= 300) throw new Error(`${question.method} ${question.path}: ${told(answer)}`);
    return answer.body;
  }

  async #send({ method, path, token, body, key }: Question): Promise<Outcome> {
    const headers = { ...(body !== undefined && { 'content-type': 'application/json' }), ...(token && { authorization: `Bearer ${token}` }), ...(key !== undefined && { 'idempotency-key': key }) };
    try {
      const response = await fetch(`${this.#init.url}${API}${path}`, { method, headers, signal: AbortSignal.timeout(ANSWER_MS), ...(body !== undefined && { body: JSON.stringify(body) }) });
      return { status: response.status, headers: response.headers, body: parsed(await response.text()) };
    } catch (error) {
      return causeOf(error) === 'ECONNREFUSED' ? 'unreached' : 'lost';
    }
  }

  /** What no client may ever see, whatever is broken behind the shop. */
  #judge({ method, path }: Question, outcome: Outcome): void {
    if (typeof outcome === 'string') return;
    const { status, headers } = outcome;
    if (status >= 500 && status !== 503) this.#init.complain(`${method} ${path} was answered ${told(outcome)}`);
    if (status === 503 && !headers.has('retry-after')) this.#init.complain(`${method} ${path} was answered 503 without Retry-After`);
  }
}

/** It says itself that it is worth asking again. */
function isPassing({ status, body }: Answer): boolean {
  return status === 503 || body?.code === 'IDEMPOTENCY_IN_PROGRESS';
}

/** An UNAVAILABLE promises that nothing was done. */
function mayBeDone({ body }: Answer): boolean {
  return body?.code !== 'UNAVAILABLE';
}

export function told(outcome: Outcome): string {
  return typeof outcome === 'string' ? outcome : `${outcome.status} ${JSON.stringify(outcome.body).slice(0, 300)}`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function causeOf(error: unknown): string | undefined {
  return ((error as { cause?: { code?: string } }).cause ?? {}).code;
}
