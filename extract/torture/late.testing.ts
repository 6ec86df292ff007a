/**
 * Transactions that publish and then commit late, long after younger ones have been committed and their events handled. A relay
 * that reads by a growing id would pass them by.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { gates } from '../../src/testing/fixtures/ping-pong.ts';
import { uuidv7 } from '../../src/uuid.ts';
import { handledOnce, type Pair, withPair } from './pair.testing.ts';
import type { Place } from './places.testing.ts';
import { Random } from './random.testing.ts';
import { type Finding, holds, type Result } from './result.testing.ts';

export interface LateOptions extends Place {
  /** Events that are published meanwhile. */
  readonly events: number;
  readonly seed: number;
  progress(line: string): void;
}

/** Publishers side by side, each with an aggregate of its own at a time. */
const PUBLISHERS = 16;
const HITS_PER_AGGREGATE = 20;
/** Transactions that are open at a time, beside one that outlasts all the rest as far as an operation may. */
const LATE_AT_ONCE = 3;
const OPEN_MS = { least: 50, most: 5_000 };
const LONGEST_MS = 25_000;
const RETELL_EVERY = 10_000;
const settings = { POOL_SIZE: '12' };

export async function late(options: LateOptions): Promise<Result> {
  return withPair(options, { settings, behaviour: () => undefined }, async (pair) => {
    const latecomers = new Latecomers(pair, new Random(options.seed));
    const published = await publish(pair, options);
    await latecomers.goHome();
    const rest: Finding = { claim: 'the outbox came to rest', violations: await pair.books.untilRelayed('ping') };
    const youngest = Math.max(...latecomers.passedBy);
    return {
      findings: [rest, holds('younger events were handled while older ones were not committed', youngest > 0, 'no transaction was passed by'), ...(await handledOnce(pair))],
      figures: [`${published} events beside ${latecomers.passedBy.length} transactions that committed late, up to ${youngest} events after`],
    };
  });
}

/** Resolves when all are committed. */
async function publish({ hit }: Pair, { events, progress }: LateOptions): Promise<number> {
  let published = 0;
  const publisher = async (): Promise<void> => {
    while (published < events) {
      const id = uuidv7();
      for (let n = 0; n < HITS_PER_AGGREGATE && published < events; n += 1) {
        published += 1;
        if (published % RETELL_EVERY === 0) progress(`${published} of ${events} events`);
        await hit(id);
      }
    }
  };
  await Promise.all(Array.from({ length: PUBLISHERS }, publisher));
  return published;
}

/** Transactions that have published and do not commit yet. */
class Latecomers {
  /** For each that is over: how many events were handled while it was open. */
  readonly passedBy: number[] = [];
  readonly #pair: Pair;
  readonly #leaving = new AbortController();
  readonly #all: Promise<unknown>;

  constructor(pair: Pair, random: Random) {
    this.#pair = pair;
    this.#all = Promise.all([this.#oneAfterTheOther(() => LONGEST_MS), ...Array.from({ length: LATE_AT_ONCE }, async () => this.#oneAfterTheOther(() => random.between(OPEN_MS.least, OPEN_MS.most)))]);
  }

  /** Those that are still open commit now. */
  async goHome(): Promise<void> {
    this.#leaving.abort();
    await this.#all;
  }

  async #oneAfterTheOther(openMs: () => number): Promise<void> {
    do {
      const id = uuidv7();
      const gate = Promise.withResolvers<void>();
      gates.set(id, gate.promise);
      const committed = this.#pair.hit(id);
      const before = await this.#handled();
      await sleep(openMs(), undefined, { signal: this.#leaving.signal }).catch(() => undefined);
      this.passedBy.push((await this.#handled()) - before);
      gates.delete(id);
      gate.resolve();
      await committed;
    } while (!this.#leaving.signal.aborted);
  }

  async #handled(): Promise<number> {
    const [row] = await this.#pair.books.rows<{ n: number }>(`select count(*)::int as n from pong.seen where subscriber = 'first'`);
    return row!.n;
  }
}
