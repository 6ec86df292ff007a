/**
 * One `confirm` under way:
 *
 *   unsent --own notification comes back--> waiting(sessions) --each is done, gone or past its trust--> confirmed
 *   waiting --own session lost--> unsent (said again by the next session)
 *   unsent | waiting --limit--> overdue: the caller is told, and it is still said and waited for
 */
import { CallError } from '../contract/errors.ts';

/** How long a caller waits while its own process cannot reach the database. */
const LIMIT_MS = 5_000;

export interface ConfirmationInit {
  readonly number: number;
  readonly topic: string;
  readonly payload: string;
  confirmed(confirmation: Confirmation): void;
}

export class Confirmation {
  readonly number: number;
  readonly topic: string;
  readonly payload: string;
  readonly promise: Promise<void>;
  readonly #init: ConfirmationInit;
  readonly #outcome = Promise.withResolvers<void>();
  readonly #limit: NodeJS.Timeout;
  #lapse: NodeJS.Timeout | undefined;
  #waiting: Map<string, number> | undefined;

  constructor(init: ConfirmationInit) {
    this.#init = init;
    this.number = init.number;
    this.topic = init.topic;
    this.payload = init.payload;
    this.promise = this.#outcome.promise;
    this.#limit = setTimeout(() => this.fail('DEADLINE_EXCEEDED', 'the change was made, but not every process could be told yet'), LIMIT_MS);
  }

  /** What was said has come back, so nothing that was said before it is unknown. */
  heardBack(trusting: Map<string, number>): void {
    this.#waiting = trusting;
    this.#check();
  }

  /** The session has run its handlers, or serves no one any more. */
  done(session: string): void {
    if (this.#waiting?.delete(session)) this.#check();
  }

  /** Our own session is lost: nothing that came over it counts. */
  unsay(): void {
    clearTimeout(this.#lapse);
    this.#waiting = undefined;
  }

  /** Tells the caller that it waits in vain; the confirmation itself goes on. */
  fail(code: 'DEADLINE_EXCEEDED' | 'UNAVAILABLE', detail: string): void {
    this.#outcome.reject(new CallError(code, detail));
  }

  /** Ends the timers. */
  stop(): void {
    clearTimeout(this.#limit);
    clearTimeout(this.#lapse);
  }

  #check(): void {
    clearTimeout(this.#lapse);
    const left = Math.max(0, ...this.#waiting!.values()) - performance.now();
    if (left > 0) this.#lapse = setTimeout(() => this.#check(), left);
    else this.#confirm();
  }

  #confirm(): void {
    this.stop();
    this.#outcome.resolve();
    this.#init.confirmed(this);
  }
}
