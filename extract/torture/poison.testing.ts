/**
 * A part of all events can never be handled by one of two subscribers. Each of them has its tries and becomes a dead letter; the
 * others, and the other subscriber, are to notice next to nothing of it. Then the reason is mended and the dead letters are redriven.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type DeadLetter, deadLetters, redrive } from '../../src/events/dead-letters.ts';
import type { Transaction } from '../../src/kernel.ts';
import type { Hit } from '../../src/testing/fixtures/ping-pong.ts';
import { uuidv7 } from '../../src/uuid.ts';
import { quantile } from '../bench/figures.ts';
import { handledOnce, type Pair, withPair } from './pair.testing.ts';
import type { Place } from './places.testing.ts';
import { Random } from './random.testing.ts';
import { type Finding, holds, type Result } from './result.testing.ts';

export interface PoisonOptions extends Place {
  /** Events in each half of a round. */
  readonly events: number;
  /** Each with as many events without poison as with it, in turns, so that whatever else the machine does meets both. */
  readonly rounds: number;
  /** Events a second. */
  readonly rate: number;
  readonly percent: number;
  readonly seed: number;
  /** Whether the pace is judged, too, which takes some thousands of events and a quiet machine. */
  readonly paced: boolean;
  progress(line: string): void;
}

const TRIES = 5;
/** So much later than without poison may 99 of 100 be handled. */
const MOST_SLOWER = 1.5;
const WARM_UP = 200;
/** So many of those that can never be handled have to be overtaken by what came after them: by all, if nothing else slows the machine. */
const LEAST_OVERTAKEN = 0.5;
const settings = { EVENT_MAX_ATTEMPTS: String(TRIES), EVENT_RETRY_BASE_MS: '50', EVENT_RETRY_MAX_MS: '400', POOL_SIZE: '6' };

type Half = 'plain' | 'poisoned';

const SUBSCRIBERS = ['first', 'second'] as const;
/** Milliseconds from the commit of each healthy event until it was handled. */
type Waits = Readonly<Record<(typeof SUBSCRIBERS)[number], number[]>>;

/** When the events of a half were committed. */
interface Commits {
  /** By the event's id. */
  readonly committedAt: Map<string, number>;
  /** Of what cannot be handled, by its aggregate's id. */
  readonly poisonedAt: Map<string, number>;
}

/** Who handled what when, and which events cannot be handled by the first subscriber. */
class Watch {
  readonly poison = new Set<string>();
  readonly tries = new Map<string, number>();
  readonly lastTriedAt = new Map<string, number>();
  /** By subscriber and event. */
  readonly handledAt = new Map<string, number>();
  isCured = false;

  behave(subscriber: string, event: Hit, tx: Transaction): void {
    if (subscriber === 'first' && this.poison.has(event.data.id)) {
      this.tries.set(event.data.id, (this.tries.get(event.data.id) ?? 0) + 1);
      this.lastTriedAt.set(event.data.id, performance.now());
      if (!this.isCured) throw new TypeError('indigestible');
    }
    tx.afterCommit(() => this.handledAt.set(`${subscriber} ${event.id}`, performance.now()));
  }
}

export async function poison(options: PoisonOptions): Promise<Result> {
  const watch = new Watch();
  return withPair(options, { settings, behaviour: (...what) => watch.behave(...what) }, async (pair) => {
    const run = new Run(options, pair, watch);
    const times: Record<Half, Waits> = { plain: { first: [], second: [] }, poisoned: { first: [], second: [] } };
    await run.half('plain', WARM_UP);
    for (let round = 1; round <= options.rounds; round += 1) {
      for (const half of round % 2 === 0 ? (['plain', 'poisoned'] as const) : (['poisoned', 'plain'] as const)) {
        const waits = await run.half(half, options.events);
        for (const subscriber of SUBSCRIBERS) times[half][subscriber].push(...waits[subscriber]);
      }
      options.progress(`round ${round} of ${options.rounds}: ${watch.poison.size} poisoned events; p99 ${p99(times.plain.first)} ms without, ${p99(times.poisoned.first)} ms with`);
    }
    return { findings: [...(await run.deadLetters()), ...pace(options, times), ...(await run.redrive())], figures: [`${run.published} events, ${watch.poison.size} of them poisoned`, ...(['plain', 'poisoned'] as const).flatMap((half) => SUBSCRIBERS.map((name) => `${half}, healthy events until handled by the ${name}: p50 ${quantile(times[half][name], 0.5).toFixed(1)}, p99 ${p99(times[half][name])} ms`))] };
  });
}

class Run {
  published = 0;
  /** Events that can never be handled before whose last try a later one was. */
  #overtaken = 0;
  readonly #options: PoisonOptions;
  readonly #pair: Pair;
  readonly #watch: Watch;
  readonly #random: Random;

  constructor(options: PoisonOptions, pair: Pair, watch: Watch) {
    this.#options = options;
    this.#pair = pair;
    this.#watch = watch;
    this.#random = new Random(options.seed);
  }

  async half(half: Half, events: number): Promise<Waits> {
    const { rate, percent } = this.#options;
    const committedAt = new Map<string, number>();
    const poisonedAt = new Map<string, number>();
    const startedAt = performance.now();
    const sent: Promise<void>[] = [];
    for (let n = 0; n < events; n += 1) {
      const wait = startedAt + (n * 1_000) / rate - performance.now();
      if (wait > 0) await sleep(wait);
      const isPoisoned = half === 'poisoned' && this.#random.chance(percent / 100);
      sent.push(this.#send(isPoisoned, { committedAt, poisonedAt }));
    }
    await Promise.all(sent);
    this.published += events;
    await this.#rest();
    this.#countOvertaken({ committedAt, poisonedAt });
    // A handler may have committed before the publisher heard of its own commit.
    const waits = (subscriber: string) => [...committedAt].map(([id, at]) => Math.max(0, this.#watch.handledAt.get(`${subscriber} ${id}`)! - at));
    return { first: waits('first'), second: waits('second') };
  }

  /** Whoever cannot be handled has had all its tries, and is kept with the reason. The first try may have been one with others, and then one alone. */
  async deadLetters(): Promise<Finding[]> {
    const { poison: poisoned, tries } = this.#watch;
    const letters = await this.#letters();
    const wrong = letters.filter(({ subscriber, attempts, error, event }) => subscriber !== 'pong.first' || attempts !== TRIES || error !== 'TypeError: indigestible' || !poisoned.has(event.aggregateId));
    const dead = new Set(letters.map(({ event }) => event.aggregateId));
    return [
      holds('what came later did not wait for the poison', this.#overtaken > LEAST_OVERTAKEN * poisoned.size, `only ${this.#overtaken} of ${poisoned.size} were overtaken`),
      holds('there was poison', poisoned.size > 0, 'no event was chosen: take more of them'),
      { claim: `each poisoned event became a dead letter, after ${TRIES} tries and with its error, and nothing else did`, violations: [...wrong.map((letter) => JSON.stringify(letter)), ...[...poisoned].filter((id) => !dead.has(id)).map((id) => `${id} is not a dead letter`), ...[...tries].filter(([, n]) => n !== TRIES && n !== TRIES + 1).map(([id, n]) => `${id} was tried ${n} times`)] },
    ];
  }

  /** Once the reason is mended every dead letter is handled. */
  async redrive(): Promise<Finding[]> {
    this.#watch.isCured = true;
    const { db, outbox } = this.#pair.host.module('ping');
    const { length: redriven } = await redrive(db, outbox.schema);
    await this.#rest();
    const left = await this.#letters();
    return [
      holds('all dead letters were redriven', redriven === this.#watch.poison.size && left.length === 0, `${redriven} of ${this.#watch.poison.size} were, and ${left.length} are left`),
      ...(await handledOnce(this.#pair)),
    ];
  }

  async #letters(): Promise<DeadLetter[]> {
    const { db, outbox } = this.#pair.host.module('ping');
    return deadLetters(db, outbox.schema, { limit: this.published });
  }

  async #send(isPoisoned: boolean, { committedAt, poisonedAt }: Commits): Promise<void> {
    const id = uuidv7();
    if (isPoisoned) this.#watch.poison.add(id);
    const eventId = await this.#pair.hit(id);
    if (isPoisoned) poisonedAt.set(id, performance.now());
    else committedAt.set(eventId, performance.now());
  }

  #countOvertaken({ committedAt, poisonedAt }: Commits): void {
    const { lastTriedAt, handledAt } = this.#watch;
    const healthy = [...committedAt].map(([id, at]) => ({ at, handled: handledAt.get(`first ${id}`)! }));
    this.#overtaken += [...poisonedAt].filter(([id, before]) => healthy.some(({ at, handled }) => at > before && handled < lastTriedAt.get(id)!)).length;
  }

  /** Until each event has been handled, or had its last try. */
  async #rest(): Promise<void> {
    const waiting = await this.#pair.books.untilRelayed('ping');
    if (waiting.length > 0) throw new Error(`the outbox does not come to rest: ${waiting.join('; ')}`);
  }
}

function pace({ paced }: PoisonOptions, { plain, poisoned }: Readonly<Record<Half, Waits>>): Finding[] {
  if (!paced) return [];
  return SUBSCRIBERS.map((name) => {
    const ratio = quantile(poisoned[name], 0.99) / quantile(plain[name], 0.99);
    return holds(`99 of 100 healthy events were handled at most ${MOST_SLOWER} times as late as without poison, by the ${name} subscriber`, ratio <= MOST_SLOWER, `it was ${ratio.toFixed(2)} times`);
  });
}

function p99(times: readonly number[]): string {
  return times.length === 0 ? '–' : quantile(times, 0.99).toFixed(1);
}
