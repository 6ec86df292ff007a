/** How long work waits for a connection of a pool: the shortest wait tells whether there is a queue that stands. */
import type pg from 'pg';

type Connected = (error: Error | undefined, client: pg.PoolClient | undefined, release: (release?: unknown) => void) => void;

export class PoolWait {
  readonly #pool: pg.Pool;
  #shortest = Number.POSITIVE_INFINITY;
  #takenAt = performance.now();

  /** Measures from now on. Single statements go through `connect`, too. */
  constructor(pool: pg.Pool) {
    this.#pool = pool;
    const connect = pool.connect.bind(pool) as (done: Connected) => void;
    const measured = (done: Connected): void => {
      const since = performance.now();
      connect((error, client, release) => {
        this.#shortest = Math.min(this.#shortest, performance.now() - since);
        done(error, client, release);
      });
    };
    pool.connect = ((done?: Connected) => {
      if (done) return measured(done);
      return new Promise((resolve, reject) => measured((error, client) => (error ? reject(error) : resolve(client!))));
    }) as typeof pool.connect;
  }

  /** The shortest wait since it was last asked, in ms: 0 when nobody wanted a connection, and as long as nobody got one at least. */
  take(): number {
    const now = performance.now();
    const shortest = this.#shortest;
    if (shortest === Number.POSITIVE_INFINITY && this.#pool.waitingCount > 0) return now - this.#takenAt;
    this.#takenAt = now;
    this.#shortest = Number.POSITIVE_INFINITY;
    return shortest === Number.POSITIVE_INFINITY ? 0 : shortest;
  }
}
