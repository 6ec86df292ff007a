/** The agreed `Database` over a module's MikroORM instance: its own pool, role and schema. */
import { type EntityManager, type EntitySchema, MikroORM } from '@mikro-orm/postgresql';
import type pg from 'pg';
import type { Call } from '../calls/call.ts';
import type { Tracing } from '../trace/tracing.ts';
import type { Database, Row, Statements, Transaction, TransactionOptions } from './database.ts';
import { Driver } from './driver.ts';
import { asCallError } from './lost-connection.ts';
import { PoolWait } from './pool-wait.ts';
import { PreparedClient } from './prepared-client.ts';
import { isStalePlan } from './stale-plans.ts';
import { StatementSpans } from './statement-span.ts';
import { callOf, traceReads } from './traced-reads.ts';
import { type DatabaseTracing, type EventSink, PgTransaction } from './transaction.ts';

export interface OrmDatabaseOptions {
  readonly module: string;
  /** Connection string of the module's runtime role. */
  readonly url: string;
  readonly poolSize: number;
  readonly entities: readonly EntitySchema[];
  readonly tracing?: Tracing | undefined;
}

const DEADLOCK = '40P01';
const SERIALIZATION_FAILURE = '40001';
const TRIES = 3;
const READ = /^\s*select\b/i;

/** Bounds what a lock can hold up, and how long an abandoned transaction can keep its connection. */
const STATEMENT_TIMEOUT_MS = 30_000;
/** A process that stands still in a transaction, e.g. a suspended one, loses it: others wait for its locks. */
const IDLE_IN_TRANSACTION_MS = 60_000;

export class OrmDatabase implements Database {
  readonly schema: string;
  readonly orm: MikroORM;
  readonly pool: pg.Pool;
  readonly poolWait: PoolWait;
  readonly #tracing: DatabaseTracing | undefined;
  #sink: EventSink | undefined;

  private constructor(module: string, orm: MikroORM, pool: pg.Pool, tracing: DatabaseTracing | undefined) {
    this.schema = module;
    this.orm = orm;
    this.pool = pool;
    this.poolWait = new PoolWait(pool);
    this.#tracing = tracing;
  }

  static async open(options: OrmDatabaseOptions): Promise<OrmDatabase> {
    const orm = new MikroORM(ormOptions(options)) as unknown as MikroORM;
    // It would look whether the database exists, which provisioning knows.
    await orm.driver.connect({ skipOnConnect: true });
    const connection = orm.em.getConnection() as unknown as { getNativeClient(): Promise<pg.Pool> };
    const tracing = options.tracing && { tracing: options.tracing, statements: new StatementSpans(options.tracing, options.module, options.url) };
    if (tracing) traceReads(orm, tracing.statements);
    return new OrmDatabase(options.module, orm, await connection.getNativeClient(), tracing);
  }

  /** Set once at start-up, before the first transaction. */
  publishTo(sink: EventSink): void {
    this.#sink = sink;
  }

  em(): EntityManager {
    return this.orm.em.fork();
  }

  /** Where nothing is traced there is nothing to know of the call. */
  for(call: Call): Statements {
    if (!this.#tracing) return this;
    return { sql: async (text, params) => this.#sql(text, params ?? [], call), em: () => this.orm.em.fork({ loggerContext: callOf(call) }) };
  }

  sql<R extends object = Row>(text: string, params: readonly unknown[] = []): Promise<R[]> {
    return this.#sql(text, params);
  }

  async #sql<R extends object = Row>(text: string, params: readonly unknown[], call?: Call): Promise<R[]> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const query = () => this.pool.query<R & pg.QueryResultRow>(text, params as unknown[]);
        const result = await (call && this.#tracing ? this.#tracing.statements.run(call, [{ text }], query) : query());
        return result.rows;
      } catch (error) {
        // One statement is a transaction too: what lost a deadlock has had no effect.
        if (attempt === TRIES || !isRetryable(error)) throw asCallError(error, this.schema, !READ.test(text));
      }
    }
  }

  async transaction<T>(options: TransactionOptions, work: (tx: Transaction) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      const client = await this.#connect();
      const tx = new PgTransaction({ ...options, client, orm: this.orm, sink: this.#sink, tracing: this.#tracing });
      try {
        const result = await tx.run(work);
        tx.committed();
        return result;
      } catch (error) {
        if (attempt === TRIES || !isRetryable(error)) throw asCallError(error, this.schema, tx.mayBeCommitted);
      }
    }
  }

  async #connect(): Promise<pg.PoolClient> {
    return this.pool.connect().catch((error: unknown) => {
      throw asCallError(error, this.schema, false);
    });
  }

  async close(): Promise<void> {
    await this.orm.close(true);
  }
}

function isRetryable(error: unknown): boolean {
  const code = (error as { code?: string }).code;
  return code === DEADLOCK || code === SERIALIZATION_FAILURE || isStalePlan(error);
}

function ormOptions(options: OrmDatabaseOptions): ConstructorParameters<typeof MikroORM>[0] {
  return {
    driver: Driver,
    contextName: options.module,
    entities: [...options.entities],
    dbName: options.module,
    schema: options.module,
    allowGlobalContext: false,
    pool: { min: 0, max: options.poolSize, idleTimeoutMillis: 30_000 },
    driverOptions: {
      Client: PreparedClient,
      // As everywhere: whatever a connection string may say, encryption above all, is pg's to read. It goes before what MikroORM makes up.
      connectionString: options.url,
      application_name: `cleave:${options.module}`,
      options: `-c search_path=${options.module} -c statement_timeout=${STATEMENT_TIMEOUT_MS} -c idle_in_transaction_session_timeout=${IDLE_IN_TRANSACTION_MS}`,
      connectionTimeoutMillis: 5_000,
    },
    forceUtcTimezone: true,
    discovery: { warnWhenNoEntities: false },
  } as unknown as ConstructorParameters<typeof MikroORM>[0];
}
