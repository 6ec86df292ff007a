/**
 * How long a process may believe that it has heard everything, and how long the others must assume that it
 * does. Times are milliseconds of `performance.now()`; the argument stands in `bus.ts`.
 */

/** A process beats this often. A beat of an idle process costs some 0.7 ms of CPU, 0.2 of them in the database. */
export const BEAT_MS = 400;

/** Counted from when an answered beat was sent. Two beats may come late before anything is noticed. */
export const TRUST_MS = 1_000;

/** What two clocks may differ by in a second, with room to spare. */
const CLOCK_MARGIN_MS = 50;

/** Stands for every process that beat before this one began to listen. */
const UNHEARD = 'unheard';

/** The other sessions that may trust themselves at present, as far as this one can know. */
export class Peers {
  readonly #until = new Map<string, number>();

  /** This process listens again from `now` on and knows nothing of what came before. */
  restart(now: number): void {
    this.#until.clear();
    this.heard(UNHEARD, now);
  }

  heard(session: string, now: number): void {
    this.#until.set(session, now + TRUST_MS + CLOCK_MARGIN_MS);
  }

  gone(session: string): void {
    this.#until.delete(session);
  }

  /** Sessions that may still trust themselves, each with the time at which that must have ended. */
  trusting(now: number): Map<string, number> {
    for (const [session, until] of this.#until) if (until <= now) this.#until.delete(session);
    return new Map(this.#until);
  }
}
