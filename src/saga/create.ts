/** Makes sagas for a module: the part that runs inside the module's transactions. */
import type { Database, Transaction } from '../database/database.ts';
import type { Next, Saga, SagaDefinition } from './saga.ts';
import { beginSpan } from './saga-spans.ts';

/** Row of `<module>_outbox.saga`. */
export interface SagaRow {
  id: string;
  status: 'running' | 'waiting' | 'compensating' | 'finished' | 'compensated';
  step: string;
  /** Steps that were started, in order; compensated from the end. */
  trail: string[];
  data: unknown;
  /** `data` as they are stored, where that is known. */
  json?: string | undefined;
  reason: string | null;
  attempts: number;
  failing_since: Date | null;
  version: number;
  traceparent: string;
  tracestate: string | null;
  request_id: string;
}

/** Is told of instances that can go on; the runner, where this process owns the module. */
export interface SagaWaker {
  /** @param row the instance as it stands after the commit, where that is known: saves reading it again */
  wake(saga: string, id: string, row?: SagaRow): void;
}

/** A saga with the parts that the kernel's runner needs. */
export interface RunnableSaga extends Saga<unknown, string> {
  readonly db: Database;
  readonly definition: SagaDefinition<unknown, string>;
  connect(waker: SagaWaker): void;
  load(id: string): Promise<SagaRow | undefined>;
  /** Writes what follows `next` (the runner goes on by itself, others wake it); undefined when somebody else moved the instance since `row` was read. */
  move(tx: Transaction, row: SagaRow, next: Next, mover: 'runner' | 'other'): Promise<SagaRow | undefined>;
  /**
   * As `move` by the runner, in the hope that nobody else moved the instance and that no signal came before its wait: the
   * transaction fails with Unchanged where one did, and is to be done again with `move`.
   */
  moveInHope(tx: Transaction, row: SagaRow, next: Next): Promise<SagaRow>;
}

/** Thrown to roll back a settlement that came too late: the instance was moved meanwhile. */
export class SagaMoved extends Error {
  override readonly name = 'SagaMoved';
}

/**
 * Wires a saga definition to its module's database. Hand the result to the kernel in the module's parts.
 * @throws TypeError when `first` or a step that is named does not exist
 */
export function createSaga<Data, Step extends string>(db: Database, definition: SagaDefinition<Data, Step>): Saga<Data, Step> {
  return new SqlSaga(db, definition as unknown as SagaDefinition<unknown, string>) as unknown as Saga<Data, Step>;
}

class SqlSaga implements RunnableSaga {
  readonly db: Database;
  readonly definition: SagaDefinition<unknown, string>;
  readonly #sql: Readonly<Record<'insert' | 'load' | 'lock' | 'post' | 'mailbox' | 'write', string>>;
  #waker: SagaWaker | undefined;

  constructor(db: Database, definition: SagaDefinition<unknown, string>) {
    this.db = db;
    this.definition = definition;
    this.#sql = statementsOn(`${db.schema}_outbox.saga`);
  }

  connect(waker: SagaWaker): void {
    this.#waker = waker;
  }

  async begin(tx: Transaction, id: string, data: unknown): Promise<void> {
    const { first, name } = this.definition;
    const trail = this.#started([], first);
    const json = JSON.stringify(data);
    const { requestId } = tx.call;
    const { traceparent, tracestate = null } = tx.span(beginSpan(this, id));
    tx.later(this.#sql.insert, [name, id, first, trail, json, traceparent, tracestate, requestId]);
    // As the next process would read it, and nobody else's object.
    this.#wakeAfter(tx, { id, status: 'running', step: first, trail, data: JSON.parse(json), json, reason: null, attempts: 0, failing_since: null, version: 1, traceparent, tracestate, request_id: requestId });
  }

  async signal(tx: Transaction, id: string, step: string, result: unknown): Promise<boolean> {
    const row = await this.#lock(tx, id);
    if (!row || row.status === 'finished' || row.status === 'compensating' || row.status === 'compensated') return false;
    if (row.status === 'waiting' && row.step === step) {
      const next = await this.definition.steps[step]!.settle(row.data, result, tx);
      await this.move(tx, row, next, 'other');
      return true;
    }
    await tx.sql(this.#sql.post, [this.definition.name, id, step, JSON.stringify(result)]);
    return true;
  }

  async abort(tx: Transaction, id: string, reason: string): Promise<boolean> {
    const row = await this.#lock(tx, id);
    if (!row || (row.status !== 'running' && row.status !== 'waiting')) return false;
    return (await this.move(tx, row, { do: 'compensate', reason }, 'other')) !== undefined;
  }

  async load(id: string): Promise<SagaRow | undefined> {
    const [row] = await this.db.sql<SagaRow>(this.#sql.load, [this.definition.name, id]);
    return row;
  }

  async move(tx: Transaction, row: SagaRow, next: Next, mover: 'runner' | 'other'): Promise<SagaRow | undefined> {
    if (next.do === 'wait') {
      // A signal seldom comes before its wait: the mailbox is looked into by the same statement, and read only then.
      const target = this.#waiting(row, next);
      if (await this.#write(tx, row, target, next.step)) return this.#moved(tx, row, target, mover);
    }
    const target = await this.#target(row, next, tx);
    if (target.status === 'compensating' && row.status !== 'compensating') await this.definition.compensating?.(row.data, target.reason!, tx);
    if (!(await this.#write(tx, row, target))) return undefined;
    return this.#moved(tx, row, target, mover);
  }

  async moveInHope(tx: Transaction, row: SagaRow, next: Next): Promise<SagaRow> {
    const target = next.do === 'wait' ? this.#waiting(row, next) : await this.#target(row, next, tx);
    if (target.status === 'compensating') await this.definition.compensating?.(row.data, target.reason!, tx);
    tx.mustChange(this.#sql.write, this.#columns(row, target, next.do === 'wait' ? next.step : null));
    return this.#moved(tx, row, target, 'runner');
  }

  #moved(tx: Transaction, row: SagaRow, target: Target, mover: 'runner' | 'other'): SagaRow {
    const { status, step, trail, reason } = target;
    const moved: SagaRow = { ...row, json: undefined, status, step, trail, reason: reason ?? row.reason, attempts: 0, failing_since: null, version: row.version + 1 };
    if (target.dueMs === 0 && mover === 'other') this.#wakeAfter(tx, moved);
    return moved;
  }

  async #lock(tx: Transaction, id: string): Promise<SagaRow | undefined> {
    const [row] = await tx.sql<SagaRow>(this.#sql.lock, [this.definition.name, id]);
    return row;
  }

  /** Where the instance stands after `next`; a signal that came early is taken from the mailbox. */
  async #target(row: SagaRow, next: Next, tx: Transaction): Promise<Target> {
    if (next.do === 'step') return { status: 'running', step: next.step, trail: this.#started(row.trail, next.step), reason: null, dueMs: 0 };
    if (next.do === 'finish') return { status: 'finished', step: row.step, trail: row.trail, reason: null, dueMs: null };
    if (next.do === 'compensate') return { status: 'compensating', step: row.step, trail: row.trail, reason: next.reason, dueMs: 0 };
    const mailbox = await this.#mailbox(tx, row.id);
    if (!(next.step in mailbox)) return this.#waiting(row, next);
    return this.#target({ ...row, step: next.step }, await this.definition.steps[next.step]!.settle(row.data, mailbox[next.step], tx), tx);
  }

  #waiting(row: SagaRow, { step, timeoutMs }: Extract<Next, { do: 'wait' }>): Target {
    return { status: 'waiting', step, trail: this.#started(row.trail, step), reason: null, dueMs: Number.isFinite(timeoutMs) ? timeoutMs : null };
  }

  /** Read under the row's lock: a signal that came after `row` was loaded must not be overlooked. */
  async #mailbox(tx: Transaction, id: string): Promise<Record<string, unknown>> {
    const [row] = await tx.sql<{ mailbox: Record<string, unknown> }>(this.#sql.mailbox, [this.definition.name, id]);
    return row?.mailbox ?? {};
  }

  /** @returns false when somebody else has moved the instance, or a signal for `unlessSignalled` is there already */
  async #write(tx: Transaction, row: SagaRow, target: Target, unlessSignalled: string | null = null): Promise<boolean> {
    return (await tx.sql(this.#sql.write, this.#columns(row, target, unlessSignalled))).length === 1;
  }

  /** Parameters of `write`. Data that are as they were stored are not sent again. */
  #columns(row: SagaRow, { status, step, trail, reason, dueMs }: Target, unlessSignalled: string | null): unknown[] {
    const json = JSON.stringify(row.data);
    return [this.definition.name, row.id, status, step, trail, json === row.json ? null : json, reason, dueMs, row.version, unlessSignalled];
  }

  #started(trail: readonly string[], step: string): string[] {
    const known = this.definition.steps[step];
    if (!known) throw new TypeError(`the saga ${this.definition.name} has no step "${step}"`);
    return known.undo && !trail.includes(step) ? [...trail, step] : [...trail];
  }

  #wakeAfter(tx: Transaction, row: SagaRow): void {
    tx.afterCommit(() => this.#waker?.wake(this.definition.name, row.id, row));
  }
}

interface Target {
  readonly status: SagaRow['status'];
  readonly step: string;
  readonly trail: string[];
  readonly reason: string | null;
  /** Milliseconds until the instance is looked at again; null: only a signal moves it. */
  readonly dueMs: number | null;
}

const COLUMNS = 'id, status, step, trail, data, reason, attempts, failing_since, version, traceparent, tracestate, request_id';

/** Built once: a text that is put together anew each time has to be hashed anew to find what it was prepared as. */
function statementsOn(table: string) {
  const row = 'where name = $1 and id = $2';
  return {
    insert: `insert into ${table} (name, id, status, step, trail, data, wake_at, traceparent, tracestate, request_id) values ($1, $2, 'running', $3, $4, $5, now(), $6, $7, $8)`,
    load: `select ${COLUMNS} from ${table} ${row}`,
    lock: `select ${COLUMNS} from ${table} ${row} for update`,
    post: `update ${table} set mailbox = mailbox || jsonb_build_object($3::text, $4::jsonb) ${row}`,
    mailbox: `select mailbox from ${table} ${row} for update`,
    write: `update ${table} set status = $3, step = $4, trail = $5, data = coalesce($6, data), reason = coalesce($7, reason), attempts = 0, failing_since = null,
      last_error = null, wake_at = now() + $8::float8 * interval '1 ms', version = version + 1, updated_at = now()
      ${row} and version = $9 and ($10::text is null or not mailbox ? $10) returning 1`,
  };
}
