/**
 * Transactions that publish and then commit late, long after younger ones have been committed and their events handled. A relay
 * that reads by a growing id would pass them by. Some have told the database nothing of their event until then; of others it has the row,
 * and its commit takes long.
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
/** Transactions of each kind that are open at a time, beside one that outlasts all the rest as far as an operation may. */
const LATE_AT_ONCE = 2;
const OPEN_MS = { least: 50, most: 5_000 };
const LONGEST_MS = 25_000;
const RETELL_EVERY = 10_000;
const settings = { POOL_SIZE: '12' };

/** The commit of an event waits as long as its aggregate is named in a table: after the row has been inserted, as on a slow disk. */
const COMMITS_WAIT = `
  create table public.waits_in_commit (aggregate_id uuid primary key);
  create function public.wait_in_commit() returns trigger language plpgsql security definer as $$
    begin
      while exists (select from public.waits_in_commit where aggregate_id = (new.data->>'aggregateId')::uuid) loop
        perform pg_sleep(0.01);
      end loop;
      return null;
    end $$;
  create constraint trigger wait_in_commit after insert on ping_outbox.job deferrable initially deferred for each row execute function public.wait_in_commit()`;

export async function late(options: LateOptions): Promise<Result> {
  return withPair(options, { settings, behaviour: () => undefined }, async (pair) => {
    await pair.books.rows(COMMITS_WAIT);
    const latecomers = new Latecomers(pair, new Random(options.seed));
    const published = await publish(pair, options);
    await latecomers.goHome();
    const rest: Finding = { claim: 'the outbox came to rest', violations: await pair.books.untilRelayed('ping') };
    const wereOvertaken = (how: How) => {
      const most = Math.max(...latecomers.passedBy[how]);
      return holds(`younger events were handled while older ones waited ${how}`, most > 0, 'no transaction was passed by');
    };
    return {
      findings: [rest, ...hows.map(wereOvertaken), ...(await handledOnce(pair))],
      figures: hows.map((how) => `${published} events beside ${latecomers.passedBy[how].length} transactions that waited ${how}, while up to ${Math.max(...latecomers.passedBy[how])} were handled`),
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

const hows = ['before their commit', 'in their commit'] as const;
type How = (typeof hows)[number];

/** Transactions that have published and are not committed yet. */
class Latecomers {
  /** For each that is over: how many events were handled meanwhile. */
  readonly passedBy: Readonly<Record<How, number[]>> = { 'before their commit': [], 'in their commit': [] };
  readonly #pair: Pair;
  readonly #leaving = new AbortController();
  readonly #all: Promise<unknown>;

  constructor(pair: Pair, random: Random) {
    this.#pair = pair;
    const late = Array.from({ length: LATE_AT_ONCE }, () => () => random.between(OPEN_MS.least, OPEN_MS.most));
    this.#all = Promise.all(hows.flatMap((how) => [() => LONGEST_MS, ...late].map(async (openMs) => this.#oneAfterTheOther(how, openMs))));
    // It is heard of when they go home, or not at all where something else has failed before.
    this.#all.catch(() => undefined);
  }

  /** Those that are still open commit now. */
  async goHome(): Promise<void> {
    this.#leaving.abort();
    await this.#all;
  }

  async #oneAfterTheOther(how: How, openMs: () => number): Promise<void> {
    do {
      const id = uuidv7();
      const open = await (how === 'in their commit' ? this.#closeCommit(id) : closeGate(id));
      const committed = this.#pair.hit(id);
      const before = await this.#handled();
      await sleep(openMs(), undefined, { signal: this.#leaving.signal }).catch(() => undefined);
      this.passedBy[how].push((await this.#handled()) - before);
      await open();
      await committed;
    } while (!this.#leaving.signal.aborted);
  }

  /** @returns what lets it go on */
  async #closeCommit(id: string): Promise<() => Promise<void>> {
    const { books } = this.#pair;
    await books.rows('insert into public.waits_in_commit (aggregate_id) values ($1)', [id]);
    return async () => void (await books.rows('delete from public.waits_in_commit where aggregate_id = $1', [id]));
  }

  async #handled(): Promise<number> {
    const [row] = await this.#pair.books.rows<{ n: number }>(`select count(*)::int as n from pong.seen where subscriber = 'first'`);
    return row!.n;
  }
}

/** @returns what lets it go on */
function closeGate(id: string): () => Promise<void> {
  const gate = Promise.withResolvers<void>();
  gates.set(id, gate.promise);
  return async () => {
    gates.delete(id);
    gate.resolve();
  };
}
