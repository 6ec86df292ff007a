/**
 * Answers that are waited for only so long, by the time in which this process could have taken them: while its own event
 * loop stands still an answer may be there and only not have been read, so such a pause counts as one tick however
 * long it lasts. One timer for all that is owed, and none when nothing is.
 */

type Done<T> = (error: Error | null, answer?: T) => void;

interface Owed {
  /** Tick at which it was asked for. */
  readonly since: number;
  end(error: Error): void;
}

const TICKS = 5;

export class Patience {
  readonly #ms: number;
  readonly #owed = new Set<Owed>();
  #ticks = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param ms how long an answer may take; it may be a fifth more */
  constructor(ms: number) {
    this.#ms = ms;
  }

  /** Hands the answer on when it comes in time, or else an error; in either case once. */
  await<T>(done: Done<T>, ask: (answered: Done<T>) => void): void {
    const end: Done<T> = (error, answer) => {
      if (this.#owed.delete(owed)) done(error, answer);
    };
    const owed: Owed = { since: this.#ticks, end };
    this.#owed.add(owed);
    this.#timer ??= setInterval(() => this.#tick(), this.#ms / TICKS);
    ask(end);
  }

  #tick(): void {
    this.#ticks += 1;
    for (const owed of this.#owed) {
      if (this.#ticks - owed.since <= TICKS) break;
      owed.end(new Error(`no answer within ${this.#ms} ms`));
    }
    if (this.#owed.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
