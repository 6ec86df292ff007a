/**
 * Events that a subscriber could not handle yet, in the publisher's database: `event_delivery`.
 *
 *   (absent) --handler failed--> head: waiting with next_at --failed again--> head, later; where one try is all: dead
 *   (absent) --not tried, for want of room--> head that has had no try
 *   (absent) --an earlier event of the aggregate waits--> follower: waiting without next_at
 *   head --not tried, or what its handler needs is away--> head, later, with no try more
 *   head --handled--> (deleted; the next follower becomes head)
 *   head --failed for the last time--> dead (the next follower becomes head)
 *   dead --redrive (dead-letters.ts)--> head
 *   (absent) --replayed (replay.ts), older than all that wait--> head
 *
 * Only the module's owner works on these rows; changes to one (subscriber, aggregate) are serialised in it. An owner
 * that was replaced and does not know it yet would make lanes that its successor has not seen, so `begin` counts
 * up an epoch and every change is refused to those before it. Every change is one statement that may be repeated:
 * when a connection is lost nobody knows whether the last one was carried out.
 */
import type pg from 'pg';
import type { EventEnvelope } from '../contract/types.ts';

export interface RetryPolicy {
  /** Delay before the second try; doubles with each further one, with full jitter on the upper half. */
  readonly baseMs: number;
  readonly maxMs: number;
  readonly maxAttempts: number;
}

/** The events of one aggregate on their way to one subscriber. */
export interface Lane {
  readonly subscriber: string;
  readonly aggregateId: string;
}

export interface Parked {
  readonly subscriber: string;
  readonly envelope: EventEnvelope;
  readonly attempts: number;
}

/** Thrown where another owner has begun since. */
export class Replaced extends Error {
  override readonly name = 'Replaced';
}

/** Delay before try number `attempts + 1`, in milliseconds. */
export function backoffMs(policy: RetryPolicy, attempts: number, random = Math.random()): number {
  const ceiling = Math.min(policy.maxMs, policy.baseMs * 2 ** Math.min(attempts - 1, 20));
  return Math.round(ceiling * (0.5 + random / 2));
}

interface Changed {
  mine: boolean;
  waiting: boolean;
}

export class Parking {
  readonly #pool: pg.Pool;
  readonly #schema: string;
  readonly #table: string;
  readonly #policy: RetryPolicy;
  #epoch = 0;

  constructor(pool: pg.Pool, schema: string, policy: RetryPolicy) {
    this.#pool = pool;
    this.#schema = schema;
    this.#table = `${schema}.event_delivery`;
    this.#policy = policy;
  }

  /** Number of the owner that began last, as far as this one knows. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Replaces the owner before. @returns the lanes that have waiting events; each has a head now */
  async begin(): Promise<Lane[]> {
    const { rows: epochs } = await this.#pool.query<{ epoch: number }>(
      `insert into ${this.#schema}.note (key, value) values ('relay', '1') on conflict (key) do update set value = to_jsonb(note.value::int + 1) returning value::int as epoch`,
    );
    this.#epoch = epochs[0]!.epoch;
    await this.#pool.query(`update ${this.#table} d set next_at = now() where state = 'waiting' and next_at is null and ${this.#isFirst('d')}`);
    const { rows } = await this.#pool.query<Lane>(`select distinct subscriber, aggregate_id as "aggregateId" from ${this.#table} where state = 'waiting'`);
    return rows;
  }

  /** @returns whether the lane has waiting events now: not when the event was a dead letter already */
  async park(subscriber: string, event: EventEnvelope, failure: { error: string; tries: number } | undefined): Promise<boolean> {
    const state = failure?.tries === 1 && this.isLastTry({ attempts: 0 }) ? 'dead' : 'waiting';
    // A replayed event may be older than the lane's head: it goes first then, and nothing behind it would give it a time.
    const delay = failure ? backoffMs(this.#policy, 1) : null;
    return this.#change(
      `put as (insert into ${this.#table} (subscriber, event_id, aggregate_id, envelope, state, attempts, next_at, last_error)
         select $2, $3, $4, $5, $9, $6, now() + case when $9 = 'waiting' then coalesce($7::int, case when exists (${this.#earlier}) then null else 0 end) end * interval '1 ms', $8
         from mine on conflict do nothing returning state),
       left_over as (select 1 from put where state = 'waiting' union all select 1 from ${this.#table} where subscriber = $2 and aggregate_id = $4 and state = 'waiting')`,
      [subscriber, event.id, event.aggregateId, JSON.stringify(event), failure?.tries ?? 0, delay, failure?.error ?? null, state],
    );
  }

  /** The first event of each lane where its time has come, without the lanes and subscribers that are busy. */
  async due(limit: number, busy: { lanes: readonly string[]; subscribers: readonly string[] }): Promise<Parked[]> {
    const { rows } = await this.#pool.query<Parked>(
      `select subscriber, envelope, attempts from ${this.#table} d where state = 'waiting' and next_at <= now()
       and subscriber <> all($2::text[]) and subscriber || ' ' || aggregate_id <> all($3::text[]) and ${this.#isFirst('d')} and ${ownedIf(this.#schema, '$4')}
       order by next_at limit $1`,
      [limit, busy.subscribers, busy.lanes, this.#epoch],
    );
    return rows;
  }

  /** @returns whether the lane has waiting events still */
  async handled({ subscriber, envelope }: Parked): Promise<boolean> {
    return this.#change(`gone as (delete from ${this.#table} using mine where subscriber = $2 and event_id = $3), ${this.#promotion()}`, [subscriber, envelope.id, envelope.aggregateId]);
  }

  /** Whether the next failure is the last one, so that the event becomes a dead letter. */
  isLastTry({ attempts }: Pick<Parked, 'attempts'>): boolean {
    return attempts + 1 >= this.#policy.maxAttempts;
  }

  /** @returns whether the lane has waiting events still */
  async failed(parked: Parked, error: string): Promise<boolean> {
    const { subscriber, envelope } = parked;
    const tried = parked.attempts + 1;
    if (this.isLastTry(parked)) {
      return this.#change(
        `dead as (update ${this.#table} set state = 'dead', attempts = $5, next_at = null, last_error = $6 from mine where subscriber = $2 and event_id = $3), ${this.#promotion()}`,
        [subscriber, envelope.id, envelope.aggregateId, tried, error],
      );
    }
    return this.#change(
      `left_over as (update ${this.#table} set attempts = $4, next_at = now() + $5::int * interval '1 ms', last_error = $6 from mine where subscriber = $2 and event_id = $3 returning 1)`,
      [subscriber, envelope.id, tried, backoffMs(this.#policy, tried), error],
    );
  }

  /**
   * Later again, for a try that was none: after half of the time that it has waited already, at most, so that the pauses grow with
   * an outage without a count of it. @returns whether the lane has waiting events still
   */
  async postponed({ subscriber, envelope }: Parked, error: string | undefined): Promise<boolean> {
    const { baseMs, maxMs } = this.#policy;
    return this.#change(
      `left_over as (update ${this.#table} set last_error = coalesce($4, last_error),
         next_at = now() + $5 * least($6::int * interval '1 ms', greatest($7::int * interval '1 ms', (now() - parked_at) / 2)) from mine where subscriber = $2 and event_id = $3 returning 1)`,
      [subscriber, envelope.id, error ?? null, 0.5 + Math.random() / 2, maxMs, baseMs],
    );
  }

  /** `steps` must define `left_over`: not empty when the lane has waiting events. */
  async #change(steps: string, params: readonly unknown[]): Promise<boolean> {
    const { rows } = await this.#pool.query<Changed>(
      `with mine as materialized (select from ${this.#schema}.note where key = 'relay' and value = to_jsonb($1::int) for share), ${steps}
       select exists (select from mine) as mine, exists (select from left_over) as waiting`,
      [this.#epoch, ...params],
    );
    if (!rows[0]!.mine) throw new Replaced(`another owner of ${this.#schema} has begun`);
    return rows[0]!.waiting;
  }

  /** Makes the lane's next event its head, when event $3 of aggregate $4 leaves it. */
  #promotion(): string {
    return `left_over as (select event_id from ${this.#table} where subscriber = $2 and aggregate_id = $4 and state = 'waiting' and event_id <> $3 order by event_id limit 1),
      promoted as (update ${this.#table} d set next_at = now(), parked_at = now() from mine, left_over where d.subscriber = $2 and d.event_id = left_over.event_id and d.next_at is null)`;
  }

  /** A waiting event of the lane of $2 and $4 that comes before $3. */
  get #earlier(): string {
    return `select from ${this.#table} where subscriber = $2 and aggregate_id = $4 and state = 'waiting' and event_id < $3`;
  }

  #isFirst(row: string): string {
    return `not exists (select from ${this.#table} e where e.subscriber = ${row}.subscriber and e.aggregate_id = ${row}.aggregate_id and e.state = 'waiting' and e.event_id < ${row}.event_id)`;
  }
}

/** SQL condition: the owner with the epoch that is bound to `parameter` has not been replaced. */
export function ownedIf(schema: string, parameter: string): string {
  return `exists (select from ${schema}.note where key = 'relay' and value = to_jsonb(${parameter}::int))`;
}
