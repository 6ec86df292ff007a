/**
 * One transaction on a connection of its own. SQL goes straight to the connection; the unit of work is made when
 * somebody asks for it, which costs 0.1 to 0.2 ms that most transactions save.
 *
 *   open --work done--> flushed, events written --commit--> committed
 *   open --anything fails--> rolled back; a connection on which that fails is thrown away
 */
import type { EntityManager, MikroORM } from '@mikro-orm/postgresql';
import { Kysely, PostgresDialect } from 'kysely';
import type pg from 'pg';
import type { Call } from '../calls/call.ts';
import { watchDeadline } from '../calls/deadlines.ts';
import type { EventDefinition } from '../contract/contract.ts';
import { CallError } from '../contract/errors.ts';
import type { EventData, EventEnvelope } from '../contract/types.ts';
import { uuidv7 } from '../uuid.ts';
import type { Row, Transaction, TransactionOptions } from './database.ts';
import type { TraceContext } from '../trace/trace-context.ts';
import type { Span, SpanInit, Tracing } from '../trace/tracing.ts';
import type { PreparedClient, Statement } from './prepared-client.ts';
import { onBehalf } from './on-behalf.ts';
import { publishSpan } from './publish-span.ts';
import type { StatementSpans } from './statement-span.ts';

/** Where the events of a transaction go; implemented by the outbox. */
export interface EventSink {
  /** Checks an event against its contract; throws on a mismatch. */
  check(event: EventDefinition, data: unknown): void;
  /** @param transaction the one that the events belong to */
  write(transaction: Pick<Transaction, 'later'>, events: readonly EventEnvelope[]): Promise<void>;
  /** The events have been committed. */
  committed(): void;
}

export interface TransactionInit extends TransactionOptions {
  readonly client: pg.PoolClient;
  readonly orm: MikroORM;
  readonly sink: EventSink | undefined;
  readonly tracing: DatabaseTracing | undefined;
}

export interface DatabaseTracing {
  readonly tracing: Tracing;
  readonly statements: StatementSpans;
}

export class PgTransaction implements Transaction {
  readonly #init: TransactionInit;
  readonly #events: EventEnvelope[] = [];
  /** Of what is published and begun. */
  readonly #spans: Span[] = [];
  readonly #actions: (() => void)[] = [];
  /** What goes with the next statement that is sent; `begin` goes with the first. */
  #waiting: Statement[] = [BEGIN];
  #em: EntityManager | undefined;
  #over = false;
  #committing = false;

  constructor(init: TransactionInit) {
    this.#init = init;
  }

  get call(): Call {
    return this.#init.call;
  }

  get em(): EntityManager {
    if (!this.#em) {
      this.#em = this.#init.orm.em.fork() as EntityManager;
      this.#em.setTransactionContext(asContext(this.#init.client, (text, params) => this.#query({ text, params }, this.call)) as never);
    }
    return this.#em;
  }

  /** Of one that failed with its connection: the commit was under way, and nobody knows how it ended. */
  get mayBeCommitted(): boolean {
    return this.#committing;
  }

  /** Runs `work` and commits; gives the connection back in any case. */
  async run<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    try {
      const result = await inTime(work(this), this.call);
      await this.#em?.flush();
      if (this.#events.length > 0) await this.#init.sink!.write(this, this.#events);
      if (this.#isUntouched) return result;
      this.#committing = true;
      const { command } = await this.#end(COMMIT);
      // A failed statement whose error `work` has swallowed: PostgreSQL rolls back and calls it a success.
      if (command !== 'COMMIT') throw new Error('the transaction was rolled back: one of its statements failed and the error was ignored');
      for (const span of this.#spans) span.end();
      return result;
    } catch (error) {
      for (const span of this.#spans) span.end(error);
      if (!this.#hasBegun) throw error;
      this.#waiting = [];
      // Settles on a connection that has died, too (prepared-client.ts); the pool drops such a one.
      await this.#end(ROLLBACK);
      throw error;
    } finally {
      this.#over = true;
      this.#init.client.release();
    }
  }

  sql<R extends object = Row>(text: string, params: readonly unknown[] = NONE): Promise<R[]> {
    return this.#rows(text, params, this.call);
  }

  later(text: string, params: readonly unknown[] = NONE): void {
    this.#requireOpen();
    this.#waiting.push({ text, params });
  }

  mustChange(text: string, params: readonly unknown[] = NONE): void {
    this.#requireOpen();
    this.#waiting.push({ text: changing(text), params, mustChange: true });
  }

  publish<E extends EventDefinition>(event: E, data: EventData<E>): string {
    return this.#publish(event, data, this.call);
  }

  afterCommit(action: () => void): void {
    this.#actions.push(action);
  }

  for(call: Call): Transaction {
    return onBehalf(this, {
      call,
      sql: async <R extends object>(text: string, params: readonly unknown[] = NONE) => this.#rows<R>(text, params, call),
      publish: (event, data) => this.#publish(event, data, call),
      span: (init) => this.#span(init, call),
    });
  }

  span(init: SpanInit): TraceContext {
    return this.#span(init, this.call);
  }

  committed(): void {
    if (this.#events.length > 0) this.#init.sink!.committed();
    for (const action of this.#actions) action();
  }

  get #hasBegun(): boolean {
    return this.#waiting[0] !== BEGIN;
  }

  get #isUntouched(): boolean {
    return !this.#hasBegun && this.#waiting.length === 1;
  }

  #publish<E extends EventDefinition>(event: E, data: EventData<E>, call: Call): string {
    const { sink, tracing } = this.#init;
    if (!sink) throw new Error(`${event.type} cannot be published: the database has no outbox`);
    sink.check(event, data);
    const id = uuidv7();
    const { traceparent, tracestate } = tracing ? this.#span(publishSpan(event.type, id), call) : call;
    const aggregateId = (data as Record<string, string>)[event.aggregate]!;
    const envelope: EventEnvelope = { id, type: event.type, aggregateId, occurredAt: new Date().toISOString(), data, traceparent, requestId: call.requestId };
    this.#events.push(tracestate === undefined ? envelope : { ...envelope, tracestate });
    return id;
  }

  #span(init: SpanInit, call: Call): TraceContext {
    const span = this.#init.tracing?.tracing.begin(call, init);
    if (span) this.#spans.push(span);
    return span ?? call;
  }

  #end(command: Statement): Promise<pg.QueryResult> {
    this.#over = true;
    return this.#send(command, this.call);
  }

  async #rows<R extends object = Row>(text: string, params: readonly unknown[], call: Call): Promise<R[]> {
    const result = await this.#query<R & pg.QueryResultRow>({ text, params }, call);
    return result.rows;
  }

  async #query<R extends pg.QueryResultRow>(statement: Statement, call: Call): Promise<pg.QueryResult<R>> {
    this.#requireOpen();
    return this.#send(statement, call);
  }

  /** Work that was left running, by a failure beside it or when its time was over, must not reach the connection any more. */
  #requireOpen(): void {
    if (this.#over) throw new Error('the transaction is over: await everything that is done in it');
  }

  #send<R extends pg.QueryResultRow>(statement: Statement, call: Call): Promise<pg.QueryResult<R>> {
    const statements = this.#waiting.length === 0 ? [statement] : [...this.#waiting, statement];
    this.#waiting = [];
    const spans = this.#init.tracing?.statements;
    return spans ? spans.run(call, statements, async () => this.#run<R>(statements)) : this.#run<R>(statements);
  }

  async #run<R extends pg.QueryResultRow>(statements: readonly Statement[]): Promise<pg.QueryResult<R>> {
    const client = this.#init.client as PreparedClient & pg.PoolClient;
    const [only] = statements;
    if (statements.length === 1) return client.query<R>(only!.text, only!.params as unknown[]);
    return (await client.together(statements)).at(-1) as pg.QueryResult<R>;
  }
}

/**
 * Work that hangs ends with its call: the transaction is rolled back, which frees its locks and its connection, and
 * whatever the work still tries in it fails.
 */
function inTime<T>(work: Promise<T>, call: Call): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(new CallError('DEADLINE_EXCEEDED', 'a transaction took too long and was rolled back'));
    const watch = watchDeadline(Math.max(call.deadline, Date.now() + LEAST_MS), late);
    work.then(resolve, reject).finally(() => watch.end());
  });
}

const changingTexts = new Map<string, string>();

/** Fails in the server, with a division by zero, when `text` changes no row: what was sent behind it is skipped then. */
function changing(text: string): string {
  let made = changingTexts.get(text);
  // Kept, because a text that is put together anew each time has to be hashed anew to find what it was prepared as.
  if (made === undefined) changingTexts.set(text, (made = `with changed as (${text}) select 1 / count(*) from changed`));
  return made;
}

const NONE: unknown[] = [];
const BEGIN: Statement = { text: 'begin', params: NONE };
const COMMIT: Statement = { text: 'commit', params: NONE };
const ROLLBACK: Statement = { text: 'rollback', params: NONE };
/** What is recorded late, because the work before it took all the time, still gets so long. */
const LEAST_MS = 1_000;

/** What MikroORM takes for a transaction: it runs what it is given on this connection and never gives it back. */
function asContext(client: pg.PoolClient, query: (text: string, params: readonly unknown[]) => Promise<pg.QueryResult>): Kysely<unknown> {
  const held = { query, release: () => undefined, processID: (client as unknown as { processID: number }).processID };
  const pool = { connect: async () => held, end: async () => undefined, options: {} };
  return new Kysely({ dialect: new PostgresDialect({ pool: pool as never }) });
}
