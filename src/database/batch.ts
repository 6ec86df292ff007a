/**
 * Several statements that go to the server together and are answered together: one write and one wake-up of the
 * server's process instead of one each, which is most of what a short statement costs.
 *
 *   submitted --a statement completes--> the next one is current --all have, server ready--> resolved
 *   submitted --a statement fails--> rejected; the server skips what follows
 *
 * Nothing separates the statements (no Sync of the protocol), so none runs when one before it has failed: what
 * follows a `begin` is never outside the transaction, and a `commit` at the end commits all or nothing.
 *
 * To pg's Client it is a query, and hands on what Client tells it to pg's own Query of the current statement.
 */
import type pg from 'pg';

/** What pg's Client calls on a query in hand. */
interface Handling {
  readonly name?: string | undefined;
  readonly text?: string | undefined;
  handleRowDescription(message: unknown): void;
  handleDataRow(message: unknown): void;
  handleCommandComplete(message: unknown, connection: Connection): void;
  handleReadyForQuery(connection: Connection): void;
  handleError(error: Error, connection: Connection): void;
}

interface Statement extends Handling {
  readonly text: string;
  readonly values: readonly unknown[];
  hasBeenParsed(connection: Connection): boolean;
}

/** The part of pg's connection that queries use: a method for each message of the extended query protocol. */
interface Connection {
  readonly stream: { cork(): void; uncork(): void };
  /** Names of statements, with their texts. */
  readonly parsedStatements: Readonly<Record<string, string>>;
  readonly submittedNamedStatements: Record<string, string>;
  parse(message: { text: string; name: string | undefined }): void;
  bind(message: { statement: string | undefined; values: readonly unknown[] }): void;
  describe(message: { type: 'P' }): void;
  execute(message: object): void;
  sync(): void;
}

type Callback = (error: Error | undefined, result: unknown) => void;

export interface BatchInit {
  /** Makes a pg Query of each statement, in their order. Their values are sent as they are: texts, buffers, null. */
  readonly queries: readonly ((callback: Callback) => pg.Query)[];
  resolve(results: pg.QueryResult[]): void;
  reject(error: Error): void;
}

export class Batch implements pg.Submittable, Handling {
  readonly #init: BatchInit;
  readonly #statements: readonly Statement[];
  readonly #results: pg.QueryResult[] = [];
  #current = 0;
  #failed = false;

  constructor(init: BatchInit) {
    this.#init = init;
    const callback: Callback = (error, result) => (error ? this.#fail(error) : void this.#results.push(result as pg.QueryResult));
    this.#statements = init.queries.map((query) => query(callback) as unknown as Statement);
  }

  /** Under this name Client remembers that the server has parsed the text. */
  get name(): string | undefined {
    return this.#statement.name;
  }

  get text(): string | undefined {
    return this.#statement.text;
  }

  /** Index of the statement that runs, or that failed. */
  get reached(): number {
    return this.#current;
  }

  get #statement(): Statement {
    return this.#statements[this.#current]!;
  }

  submit(target: unknown): void {
    const connection = target as Connection;
    connection.stream.cork();
    try {
      for (const statement of this.#statements) send(statement, connection);
      connection.sync();
    } finally {
      connection.stream.uncork();
    }
  }

  handleRowDescription(message: unknown): void {
    this.#statement.handleRowDescription(message);
  }

  handleDataRow(message: unknown): void {
    this.#statement.handleDataRow(message);
  }

  handleCommandComplete(message: unknown, connection: Connection): void {
    this.#statement.handleCommandComplete(message, connection);
    if (this.#current < this.#statements.length - 1) this.#current += 1;
  }

  handleReadyForQuery(connection: Connection): void {
    for (const statement of this.#statements) if (!this.#failed) statement.handleReadyForQuery(connection);
    if (!this.#failed) this.#init.resolve(this.#results);
  }

  handleError(error: Error, connection: Connection): void {
    const { parsedStatements, submittedNamedStatements } = connection;
    // The server has skipped what was sent behind the failure, so it has not parsed it either.
    for (const { name } of this.#statements.slice(this.#current)) if (name && !(name in parsedStatements)) delete submittedNamedStatements[name];
    this.#statement.handleError(error, connection);
  }

  #fail(error: Error): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#init.reject(error);
  }
}

/** What pg's Query sends of itself, but for the Sync. */
function send(statement: Statement, connection: Connection): void {
  const { name, text, values } = statement;
  if (!statement.hasBeenParsed(connection)) {
    connection.parse({ text, name });
    if (name) connection.submittedNamedStatements[name] = text;
  }
  connection.bind({ statement: name, values });
  connection.describe({ type: 'P' });
  connection.execute({});
}
