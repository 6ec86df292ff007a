/**
 * A module's outbox: a pg-boss queue in the module's own database, written by the transaction that changes the
 * state (invariant I4). One insert for all events of a transaction, however many subscribers there are.
 */
import pg from 'pg';
import { type IDatabase, PgBoss } from '../database/pg-boss.ts';
import type { EventDefinition } from '../contract/contract.ts';
import type { EventEnvelope } from '../contract/types.ts';
import { validatorOf, violationOf } from '../contract/validate.ts';
import { EVENTS_QUEUE } from '../database/kernel-tables.ts';
import type { Transaction } from '../database/database.ts';
import { PreparedClient } from '../database/prepared-client.ts';
import type { EventSink } from '../database/transaction.ts';
import { ownedIf } from './parking.ts';

/** Long enough for the upkeep of an outbox that has grown for long. */
const STATEMENT_TIMEOUT_MS = 60_000;

export interface OutboxOptions {
  readonly module: string;
  /** Connection string of the module's runtime role. */
  readonly url: string;
  /** Called after each commit that wrote events. */
  wake(): void;
  /** pg-boss reports trouble of its maintenance here. */
  warn(error: unknown): void;
}

export class Outbox implements EventSink {
  readonly schema: string;
  /** pg-boss's own small pool: a shared one can run dry while transactions wait for it. */
  readonly pool: pg.Pool;
  readonly #boss: PgBoss;
  readonly #wake: () => void;
  /** The queue's own table, of those of pg-boss's. */
  #table: string | undefined;
  /** Statement that writes events, an array in JSON. */
  #insert: string | undefined;

  constructor(options: OutboxOptions) {
    this.schema = `${options.module}_outbox`;
    this.#wake = () => options.wake();
    this.pool = new pg.Pool({
      connectionString: options.url,
      Client: PreparedClient,
      max: 2,
      // A plan made while the outbox was small would read all of it until statistics are made anew. What is left is to follow the index of
      // what waits: not into a bitmap, which tells the index nothing of the entries that it found dead, and so meets all of them again each time.
      options: `-c enable_seqscan=off -c enable_bitmapscan=off -c statement_timeout=${STATEMENT_TIMEOUT_MS}`,
      connectionTimeoutMillis: 5_000,
      answerMs: STATEMENT_TIMEOUT_MS + 10_000,
      application_name: `cleave:${options.module}:outbox`,
      idleTimeoutMillis: 60_000,
    } as pg.PoolConfig);
    this.pool.on('error', options.warn);
    this.#boss = new PgBoss({ db: this.#database(), schema: this.schema, migrate: false, createSchema: false, schedule: false, supervise: false, reindex: false, monitorVacuum: false, maintenanceIntervalSeconds: 3600, monitorIntervalSeconds: 3600, queueCacheIntervalSeconds: 3600 });
    this.#boss.on('error', options.warn);
  }

  async start(): Promise<void> {
    await this.#boss.start();
    const queue = await this.#boss.getQueue(EVENTS_QUEUE);
    if (!queue) throw new TypeError(`${this.schema} has no queue ${EVENTS_QUEUE}`);
    this.#table = `${this.schema}.${queue.table}`;
    // pg-boss's own insert, which is for queues and jobs of all kinds, takes the database twice as long. What it leaves is the same: see the test.
    this.#insert = `insert into ${this.#table} (id, name, data, policy, deletion_seconds, keep_until)
      select (event->>'id')::uuid, '${EVENTS_QUEUE}', event, '${queue.policy}', ${queue.deleteAfterSeconds}, now() + interval '${queue.retentionSeconds} s' from jsonb_array_elements($1::jsonb) as event`;
  }

  async stop(): Promise<void> {
    await this.#boss.stop({ graceful: false, close: false });
    await this.pool.end();
  }

  check(event: EventDefinition, data: unknown): void {
    if (validatorOf(event.data)(data)) return;
    const violation = violationOf(event.data, data)!;
    throw new TypeError(`${event.type} does not fit its schema at "${violation.path}": ${violation.message}`);
  }

  async write(transaction: Pick<Transaction, 'later'>, events: readonly EventEnvelope[]): Promise<void> {
    // Nothing at all would be a statement, too, and the events would be lost without a word.
    if (this.#insert === undefined) throw new TypeError(`the outbox ${this.schema} has not been started`);
    transaction.later(this.#insert, [JSON.stringify(events)]);
  }

  committed(): void {
    this.#wake();
  }

  /**
   * The oldest events that are not done, in the order of their ids, without those named; none for an owner that was replaced. Their table has
   * nobody else's: asked for the queue by its name, PostgreSQL would take the primary key, and with it all that is kept.
   */
  async pending(limit: number, without: readonly string[], epoch: number): Promise<EventEnvelope[]> {
    const { rows } = await this.pool.query<{ data: EventEnvelope }>(
      `select data from ${this.#table} where state < 'active' and id not in (select unnest($2::uuid[])) and ${ownedIf(this.schema, '$3')} order by id limit $1`,
      [limit, without, epoch],
    );
    return rows.map((row) => row.data);
  }

  async complete(ids: readonly string[]): Promise<void> {
    await this.#boss.complete(EVENTS_QUEUE, [...ids], null, { includeQueued: true });
  }

  /** pg-boss's upkeep, for the module's owner to do: drops what was done longer ago than the queue keeps it. */
  async maintain(): Promise<void> {
    await this.#boss.supervise(EVENTS_QUEUE);
  }

  /** How many events are not done and how old the oldest is, in seconds. */
  async backlog(): Promise<{ pending: number; oldestSeconds: number }> {
    const { rows } = await this.pool.query<{ pending: number; oldest: number | null }>(
      `select count(*) as pending, extract(epoch from now() - min(created_on))::float8 as oldest from ${this.#table} where state < 'active'`,
    );
    return { pending: rows[0]!.pending, oldestSeconds: rows[0]!.oldest ?? 0 };
  }

  #database(): IDatabase {
    // pg-boss sends its upkeep as several statements in one text, which PostgreSQL takes only unprepared.
    return { executeSql: async (text, values) => this.pool.query(text, values?.length ? (values as unknown[]) : undefined) };
  }
}
