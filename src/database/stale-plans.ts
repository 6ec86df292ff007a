/**
 * Prepared statements that a migration has outdated. PostgreSQL fixes the columns of a statement's result when it
 * prepares it, so what returns all columns of a table (`select *`, and whatever MikroORM finds) fails from the moment in
 * which one is added ("cached plan must not change result type"), in every process that goes on running meanwhile.
 *
 *   current --a statement of any connection fails so--> outdated, for all connections of this process
 *   outdated --before the next statement outside a transaction: deallocate all--> current
 *
 * The statement that found out has had no effect and is repeated, or the transaction that it ended is. So adding a column
 * costs each connection one round trip. Rejected: naming columns everywhere and holding that with a check, for it is
 * MikroORM that writes most of these statements; and new names for all statements, which would leave the old ones on the
 * server for as long as the connections live.
 */
import type pg from 'pg';

const FEATURE_NOT_SUPPORTED = '0A000';
/** Where in the server the error is raised; its text may be translated. */
const ROUTINE = 'RevalidateCachedQuery';

export function isStalePlan(error: unknown): boolean {
  const { code, routine } = (error ?? {}) as { code?: unknown; routine?: unknown };
  return code === FEATURE_NOT_SUPPORTED && routine === ROUTINE;
}

/** Counts up for the whole process each time when a statement has been found outdated. */
let current = 0;

/** What pg remembers of the statements that a connection has prepared. */
interface Prepared {
  parsedStatements: Record<string, string>;
}

/** The era that a connection's prepared statements are of. */
export class PlanEra {
  readonly #client: pg.Client;
  #mine = current;

  constructor(client: pg.Client) {
    this.#client = client;
  }

  get isOver(): boolean {
    return this.#mine !== current;
  }

  /** A statement of this connection was outdated: so are most likely those of the others. */
  end(): void {
    if (!this.isOver) current += 1;
  }

  /** The server has forgotten what it was told to prepare on this connection. */
  begin(): void {
    this.#mine = current;
    (this.#client.connection as unknown as Prepared).parsedStatements = {};
  }
}
