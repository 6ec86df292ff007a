/**
 * A `pg` client that prepares what it runs. Naming a statement by its text saves PostgreSQL the parse and
 * plan of each execution: 1,862 against 1,455 transactions a second with an outbox insert (docs/decisions/0003).
 * Names are bounded per process: dynamic SQL beyond the bound runs unprepared instead of filling the server.
 *
 * A server that vanishes without a word, its machine gone or the line cut, leaves a statement unanswered for ever. So the connection is
 * given up when nothing has come for longer than any statement may take.
 */
import type { Socket } from 'node:net';
import pg from 'pg';
import utils from 'pg/lib/utils.js';
import { Batch } from './batch.ts';
import { Unchanged } from './database.ts';
import { isStalePlan, PlanEra } from './stale-plans.ts';

const DIVISION_BY_ZERO = '22012';
const MAX_STATEMENTS = 400;
const names = new Map<string, string>();

function nameOf(text: string): string | undefined {
  const known = names.get(text);
  if (known) return known;
  if (names.size >= MAX_STATEMENTS) return undefined;
  const name = `c${names.size}`;
  names.set(text, name);
  return name;
}

const INT8 = 20;
const INT8_ARRAY = 1016;

/** bigint columns hold amounts and counts below 2^53: they arrive as numbers. */
const types: pg.CustomTypesConfig = {
  getTypeParser(oid: number, format?: 'text' | 'binary') {
    if (oid === INT8) return Number;
    if (oid === INT8_ARRAY) return (value: string) => value.slice(1, -1).split(',').map(Number);
    return pg.types.getTypeParser(oid, format as 'text');
  },
} as pg.CustomTypesConfig;

export interface Statement {
  readonly text: string;
  readonly params: readonly unknown[];
  /** A division by zero in it says that it changed nothing. */
  readonly mustChange?: boolean;
}

type Callback = (error: Error | undefined, result: unknown) => void;

export interface PreparedClientConfig extends pg.ClientConfig {
  /** How long the server may leave a statement unanswered; default: 40 s, for statements that may take 30. */
  readonly answerMs?: number;
}

const ANSWER_MS = 40_000;

/** Hand it to a pool as its `Client`. */
export class PreparedClient extends pg.Client {
  readonly #plans = new PlanEra(this);

  constructor(config: PreparedClientConfig = {}) {
    // The pool hides the password from enumeration, and so from a spread.
    super({ ...config, password: config.password, types });
    this.once('connect', () => this.#watchOver(config.answerMs ?? ANSWER_MS));
  }

  /** Not before it is connected: a connection that becomes an encrypted one changes its socket. */
  #watchOver(answerMs: number): void {
    const stream = this.connection.stream as Socket;
    stream.setTimeout(answerMs);
    stream.on('timeout', () => {
      if (!(this as unknown as { readyForQuery: boolean }).readyForQuery) stream.destroy(new Error(`Connection terminated: the server has not answered for ${answerMs / 1_000} s`));
    });
  }

  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- pg overloads this method seven times
  override query(config: any, values?: any, callback?: any): any {
    const result: unknown = typeof config === 'string' && Array.isArray(values) ? this.#prepared(config, values, callback) : super.query(config, values, callback);
    return isRollback(config) && result instanceof Promise ? settledRollback(result) : result;
  }

  /**
   * Runs statements one after the other until one fails, in a single round trip (batch.ts).
   * @throws the error of the one that failed; Unchanged when that is one that had to change rows
   */
  async together(statements: readonly Statement[]): Promise<pg.QueryResult[]> {
    const queries = statements.map(({ text, params }) => (callback: Callback) => typed(namedQuery(text, params as unknown[], callback)));
    const { promise, resolve, reject } = Promise.withResolvers<pg.QueryResult[]>();
    const batch = new Batch({ queries, resolve, reject });
    this.#whenRenewed(() => void super.query(batch));
    try {
      return await promise;
    } catch (error) {
      if (isStalePlan(error)) this.#plans.end();
      if ((error as { code?: string }).code === DIVISION_BY_ZERO && statements[batch.reached]!.mustChange) throw new Unchanged('a row that had to be changed was not there, or not as it was expected');
      Error.captureStackTrace(error as Error);
      throw error;
    }
  }

  #prepared(text: string, values: unknown[], callback: Callback | undefined): Promise<unknown> | undefined {
    if (callback) {
      this.#run(text, values, callback);
      return undefined;
    }
    return new Promise((resolve, reject) => {
      this.#run(text, values, (error, result) => (error ? reject(error) : resolve(result)));
    }).catch((error: Error) => {
      // As pg does it: a stack that leads to whoever asked says more than one that leads to the socket.
      Error.captureStackTrace(error);
      throw error;
    });
  }

  /** The query is made here because pg copies a named one property by property, descriptors and all: 4 of 40 µs. */
  #run(text: string, values: unknown[], done: Callback): void {
    const answered: Callback = (error, result) => {
      if (!isStalePlan(error)) return done(error, result);
      this.#plans.end();
      // In a transaction the error has ended that; whoever runs it repeats it as a whole.
      if (this.getTransactionStatus() !== IDLE) return done(error, undefined);
      this.#whenRenewed(() => super.query(namedQuery(text, values, done)));
    };
    const query = namedQuery(text, values, answered);
    this.#whenRenewed(() => super.query(query));
  }

  /** Has outdated statements prepared anew; but not in a transaction, whose next statement need not be one of them. */
  #whenRenewed(query: () => void): void {
    if (!this.#plans.isOver || this.getTransactionStatus() !== IDLE) return query();
    super.query('deallocate all', (error: unknown) => {
      if (!error) this.#plans.begin();
      query();
    });
  }
}

/** What the server says of a connection that is in no transaction. */
const IDLE = 'I';

function namedQuery(text: string, values: unknown[], callback: Callback): pg.Query {
  return Object.assign(new pg.Query(text, sendable(values), callback), { name: nameOf(text) });
}

/**
 * Values as they are sent. Where one cannot be, this must be found out before anything has been: pg would have the
 * server forget the statement, and go on believing that it is prepared.
 */
function sendable(values: readonly unknown[]): unknown[] {
  return values.map((value) => utils.prepareValue(value));
}

/** Client does so for the queries that it knows. */
function typed(query: pg.Query): pg.Query {
  (query as unknown as { _result: { _types: unknown } })._result._types = types;
  return query;
}

function isRollback(config: unknown): boolean {
  const text = typeof config === 'string' ? config : (config as { text?: string } | undefined)?.text;
  return text === 'rollback';
}

/**
 * A rollback on a connection that has died has nothing left to undo. Kysely would keep such a connection for ever
 * when its rollback fails, one pool slot per loss; told that it is done, it hands the dead client back to the pool,
 * which drops it.
 */
async function settledRollback(result: Promise<unknown>): Promise<unknown> {
  return result.catch(() => ({ rows: [], rowCount: null, command: 'ROLLBACK', oid: 0, fields: [] }));
}
