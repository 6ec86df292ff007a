/**
 * Spans for what an entity manager reads outside a transaction. MikroORM hands on with each statement what its fork
 * was made with, which is the one way for a call to get there without ambient context.
 */
import type { MikroORM } from '@mikro-orm/postgresql';
import type { Call } from '../calls/call.ts';
import type { StatementSpans } from './statement-span.ts';

type Context = Record<string, unknown>;

/** The part of MikroORM's connection through which each statement passes. */
interface Connection {
  executeQuery<T>(text: string, execute: () => Promise<T>, context?: Context): Promise<T>;
}

const CALL = 'cleaveCall';

/** For the `loggerContext` of a fork. */
export function callOf(call: Call): Context {
  return { [CALL]: call };
}

export function traceReads(orm: MikroORM, statements: StatementSpans): void {
  const connection = orm.em.getConnection() as unknown as Connection;
  const executeQuery = connection.executeQuery.bind(connection);
  connection.executeQuery = async (text, execute, context) => {
    const call = context?.[CALL] as Call | undefined;
    return executeQuery(text, call ? async () => statements.run(call, [{ text }], execute) : execute, context);
  };
}
