/**
 * A bounded number of slots with a bounded queue before them (a bulkhead).
 *
 *   asked --a slot is free--> held --release--> free, or handed to the first in the queue
 *   asked --all held--> queued --its turn--> held
 *                       queued --deadline or cancellation--> refused
 *   asked --queue full--> refused at once
 */
import { type Call, CallError } from '#kernel';

export interface SlotLimits {
  readonly slots: number;
  /** How many may wait; more are refused, for they would only wait in vain. */
  readonly queue: number;
}

export class Slots {
  readonly #limits: SlotLimits;
  readonly #what: string;
  readonly #queue = new Set<() => void>();
  #held = 0;

  /** @param what is named in refusals, e.g. `password checks` */
  constructor(what: string, limits: SlotLimits) {
    this.#what = what;
    this.#limits = limits;
  }

  get waiting(): number {
    return this.#queue.size;
  }

  /**
   * Runs `work` in a slot, in the order of asking.
   * @throws CallError UNAVAILABLE when the queue is full; DEADLINE_EXCEEDED or CANCELLED when the call ends first
   */
  async run<T>(call: Call, work: () => Promise<T>): Promise<T> {
    call.throwIfOver();
    await this.#enter(call);
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  async #enter(call: Call): Promise<void> {
    if (this.#held < this.#limits.slots) {
      this.#held += 1;
      return;
    }
    if (this.#queue.size >= this.#limits.queue) {
      throw new CallError('UNAVAILABLE', `${this.#queue.size} ${this.#what} are waiting already; repeat a little later`);
    }
    await this.#turn(call);
  }

  #turn(call: Call): Promise<void> {
    const { signal } = call;
    return new Promise((resolve, reject) => {
      const take = (): void => {
        signal.removeEventListener('abort', give);
        resolve();
      };
      const give = (): void => {
        this.#queue.delete(take);
        reject(overdue(call, this.#what));
      };
      signal.addEventListener('abort', give, { once: true });
      this.#queue.add(take);
    });
  }

  /** The slot goes straight to the next in the queue, so that nobody who asks meanwhile can overtake. */
  #leave(): void {
    const [next] = this.#queue;
    if (!next) {
      this.#held -= 1;
      return;
    }
    this.#queue.delete(next);
    next();
  }
}

function overdue(call: Call, what: string): CallError {
  if (call.cancellation?.aborted) return new CallError('CANCELLED', 'the caller gave up');
  return new CallError('DEADLINE_EXCEEDED', `no time is left for this call: it waited behind other ${what}`);
}
