/** A module's way to its own schema. One per module, over its own MikroORM instance, pool and role. */
import type { EntityManager } from '@mikro-orm/postgresql';
import type { EventDefinition } from '../contract/contract.ts';
import type { EventData } from '../contract/types.ts';
import type { Call } from '../calls/call.ts';
import type { TraceContext } from '../trace/trace-context.ts';
import type { SpanInit } from '../trace/tracing.ts';

/** A row as `pg` returns it; name its shape where you read it. */
export type Row = Record<string, unknown>;

/** PostgreSQL parameters are `$1`, `$2`, …; every statement is prepared once per connection. */
export interface Sql {
  sql<R extends object = Row>(text: string, params?: readonly unknown[]): Promise<R[]>;
}

export interface Transaction extends Sql {
  /** The work that this transaction belongs to. */
  readonly call: Call;
  /** Unit of work in this transaction; flushed before the commit. Use it where an entity helps. */
  readonly em: EntityManager;
  /**
   * Writes an event to the module's outbox; it commits with the state change or not at all (invariant I4).
   * Call it after the statement that locks the aggregate's row, so that ids follow the order of changes.
   * @returns the event's id
   */
  publish<E extends EventDefinition>(event: E, data: EventData<E>): string;
  /**
   * Runs a statement whose result nobody waits for: it goes to the server with the next one or with the commit, which
   * saves a round trip, and fails the transaction when it fails.
   */
  later(text: string, params?: readonly unknown[]): void;
  /**
   * As `later`, for an update that somebody else may have made pointless: when it changes no row, the transaction fails
   * with `Unchanged` and nothing of it is committed. Saves the round trip that looking at the result would take.
   * @param text `update …` or `delete …`, with `returning 1`
   */
  mustChange(text: string, params?: readonly unknown[]): void;
  /** Runs after the commit has been confirmed, never after a rollback. Must not throw. */
  afterCommit(action: () => void): void;
  /**
   * Where in a trace that stands which goes on after the commit, later and perhaps in another process: under a span
   * that ends with the transaction; where nothing is traced, under the call.
   */
  span(init: SpanInit): TraceContext;
  /** The same transaction on behalf of other work than its own, e.g. of each of the events that are handled together. */
  for(call: Call): Transaction;
}

/** A statement that had to change a row changed none. */
export class Unchanged extends Error {
  override readonly name = 'Unchanged';
}

export interface TransactionOptions {
  /** The work that this transaction belongs to: its trace and request id go into the events. */
  readonly call: Call;
}

/** Statements of their own, each a transaction. */
export interface Statements extends Sql {
  /** A fork of the module's entity manager, for reads outside a transaction. */
  em(): EntityManager;
}

export interface Database extends Statements {
  /** The module's schema, e.g. `orders`. It is first on the search path: name tables without it. */
  readonly schema: string;
  /** Statements as part of `call`, in whose trace they are then; those without are in none. */
  for(call: Call): Statements;
  /**
   * Runs `work` in one transaction. Deadlocks, serialization failures and statements that a migration has outdated are
   * retried (3 tries), so `work` must not have effects outside the transaction. Never call another module from inside.
   */
  transaction<T>(options: TransactionOptions, work: (tx: Transaction) => Promise<T>): Promise<T>;
}
