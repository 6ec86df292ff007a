/**
 * What stands between this process and one module elsewhere, so that its failure stays there (invariant I7):
 *
 *   bulkhead   at most so many calls under way; what is more is refused at once. A queue would keep calls beyond their deadlines
 *   retries    of what may be repeated, and of whatever has not been reached; at most two, with jitter, within what is left of the
 *              deadline and within a budget of 10 % of the calls, so that a callee in trouble is not asked the more for it
 *   breaker    closed --5 failures one after the other--> open --after 0.5 s, doubling to 2 s--> half-open: one call tries
 *              half-open --it is answered--> closed; --it fails, or nobody waits for it any more--> open. Others are refused meanwhile
 *
 * Nothing above repeats a call within its deadline. Sagas and relays come back later, which is not a retry of the call.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BrokenCircuitError, circuitBreaker, CircuitState, ConsecutiveBreaker, ExponentialBackoff, handleWhen, noJitterGenerator } from 'cockatiel';
import { CallError } from '../contract/errors.ts';
import { WireError } from './exchange.ts';
import { RetryBudget } from './retry-budget.ts';

export type BreakerState = 'closed' | 'open' | 'half-open';

const CONCURRENT = 128;
const FAILURES = 5;
/** Without jitter, whose first pause may be no pause at all; one call tries, so callers that try at the same time are no load. */
const PAUSES = { initialDelay: 500, maxDelay: 2_000, generator: noJitterGenerator };
const TRIES = 3;
const RETRY_BASE_MS = 20;

export interface Guarded<T> {
  /** Epoch milliseconds. */
  readonly deadline: number;
  attempt(number: number): Promise<T>;
  /** Whether another attempt may be made after this failure. */
  mayRepeat(error: unknown): boolean;
}

export class CalleeGuard {
  readonly #module: string;
  readonly #breaker = circuitBreaker(handleWhen((error) => error instanceof Attempt && error.isFault), { halfOpenAfter: new ExponentialBackoff(PAUSES), breaker: new ConsecutiveBreaker(FAILURES) });
  readonly #budget = new RetryBudget();
  #underWay = 0;
  retries = 0;

  constructor(module: string, onStateChange: (state: BreakerState) => void) {
    this.#module = module;
    this.#breaker.onStateChange(() => onStateChange(this.state));
  }

  get state(): BreakerState {
    const { state } = this.#breaker;
    if (state === CircuitState.Closed) return 'closed';
    return state === CircuitState.HalfOpen ? 'half-open' : 'open';
  }

  get underWay(): number {
    return this.#underWay;
  }

  async run<T>(guarded: Guarded<T>): Promise<T> {
    if (this.#underWay >= CONCURRENT) throw new CallError('UNAVAILABLE', `${this.#module} has more calls under way than it is given; repeat a little later`);
    this.#underWay += 1;
    try {
      return await this.#repeat(guarded);
    } finally {
      this.#underWay -= 1;
    }
  }

  async #repeat<T>(guarded: Guarded<T>): Promise<T> {
    this.#budget.earn();
    let doubt: WireError | undefined;
    for (let number = 1; ; number += 1) {
      try {
        // Half-open, the breaker would keep this call until the one that tries has ended, for as long as that may take.
        if (this.state === 'half-open') throw new BrokenCircuitError();
        const tries = this.state === 'open';
        return await this.#breaker.execute(() => this.#attempt(guarded, number, tries));
      } catch (failure) {
        const caught: unknown = failure instanceof Attempt ? failure.cause : failure;
        if (caught instanceof BrokenCircuitError) throw doubt ?? new CallError('UNAVAILABLE', `${this.#module} has failed again and again; it is asked again shortly`, { cause: caught });
        // That this attempt did nothing says nothing of those before it.
        const error = doubt && didNothing(caught) ? doubt : caught;
        if (isLost(error)) doubt = error;
        const pause = RETRY_BASE_MS * 2 ** (number - 1) * (0.5 + Math.random());
        if (number >= TRIES || !guarded.mayRepeat(error) || Date.now() + pause >= guarded.deadline || !this.#budget.spend()) throw error;
        this.retries += 1;
        await sleep(pause);
      }
    }
  }

  /** While one tries, nobody else decides: what was begun before the breaker opened tells of then. One that tries must learn something. */
  async #attempt<T>(guarded: Guarded<T>, number: number, tries: boolean): Promise<T> {
    try {
      return await guarded.attempt(number);
    } catch (error) {
      const isFaulty = tries ? isFault(error) || isGivenUp(error) : isFault(error) && this.state !== 'half-open';
      throw new Attempt(error, isFaulty);
    }
  }
}

/** One that has failed, and whether the breaker counts it. */
class Attempt extends Error {
  readonly isFault: boolean;

  constructor(cause: unknown, isFault: boolean) {
    super('an attempt failed', { cause });
    this.isFault = isFault;
  }
}

/** What says that the callee is not well. What it answers, it answers; that somebody it needs is away is not its own failure. */
function isFault(error: unknown): boolean {
  return error instanceof WireError || (error instanceof CallError && error.code === 'DEADLINE_EXCEEDED');
}

function isGivenUp(error: unknown): boolean {
  return error instanceof CallError && error.code === 'CANCELLED';
}

function isLost(error: unknown): error is WireError {
  return error instanceof WireError && error.kind === 'lost';
}

function didNothing(error: unknown): boolean {
  return error instanceof WireError ? error.kind === 'unreached' : error instanceof CallError && error.code === 'UNAVAILABLE';
}
