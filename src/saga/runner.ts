/**
 * Runs a module's sagas in the process that owns the module: one instance at a time per id, many side by side.
 * What it knows is in the database; it may be killed at any point and another owner goes on.
 */
import type { Logger } from 'pino';
import { Call } from '../calls/call.ts';
import type { Gate } from '../calls/gate.ts';
import { CallError } from '../contract/errors.ts';
import type { Probe } from '../host/probe.ts';
import type { TraceContext } from '../trace/trace-context.ts';
import type { Span, Tracing } from '../trace/tracing.ts';
import { type Transaction, Unchanged } from '../database/database.ts';
import { type RunnableSaga, SagaMoved, type SagaRow } from './create.ts';
import { type StepAction, stepSpan } from './saga-spans.ts';
import type { Next, SagaStep } from './saga.ts';

export interface SagaRunnerOptions {
  readonly sagas: readonly RunnableSaga[];
  readonly gate: Gate;
  readonly log: Logger;
  readonly pollMs: number;
  readonly retryBaseMs: number;
  readonly retryMaxMs: number;
  /** Milliseconds an effect or an undo may take. */
  readonly stepTimeoutMs: number;
  /** Told when an instance of a module can go on that another process owns. */
  wakeOwner(): void;
  readonly probe?: Probe | undefined;
  readonly tracing?: Tracing | undefined;
}

/**
 * Instances that are moved on side by side. More would hardly end sooner, since all of them want the same processors and
 * disk, but would keep whoever waits for an answer from them; with fewer a shop that is asked for all it can do begins many times as much as it
 * carries out (docs/decisions/0015-overload-is-a-queue-that-stands.md).
 */
const CONCURRENCY = 16;
/** An effect that takes longer waits for something else than this machine: others go on meanwhile. */
const LENDS_ITS_SLOT_AFTER_MS = 50;
const MOST_ACTIVE = 1_000;
/** What comes on top is left in the database until there is room. */
const MOST_QUEUED = 2_000;
const READ = 200;

export class SagaRunner {
  readonly #options: SagaRunnerOptions;
  readonly #sagas: ReadonlyMap<string, RunnableSaga>;
  readonly #queued = new Map<string, SagaRow | undefined>();
  readonly #active = new Map<string, Promise<void>>();
  /** Of the active ones those that hold a slot. */
  #slots = 0;
  /** There may be more to do than is queued. */
  #more = false;
  /** Woken while active: look once more when done. */
  readonly #again = new Set<string>();
  #running = false;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #lookAgain = false;

  constructor(options: SagaRunnerOptions) {
    this.#options = options;
    this.#sagas = new Map(options.sagas.map((saga) => [saga.definition.name, saga]));
    for (const saga of options.sagas) saga.connect({ wake: (name, id, row) => this.wake(name, id, row) });
  }

  start(): void {
    this.#running = true;
    this.#timer = setInterval(() => this.look(), this.#options.pollMs);
    this.look();
  }

  /** Looks for instances that can go on; calls during a look are answered by one more look. */
  look(): void {
    if (!this.#running) return;
    this.#lookAgain = this.#looking !== undefined;
    this.#looking ??= this.#poll().finally(() => {
      this.#looking = undefined;
      if (this.#lookAgain) this.look();
    });
  }

  /** Effects under way are finished and recorded; what follows is left to the next owner. */
  async stop(): Promise<void> {
    this.#running = false;
    clearInterval(this.#timer);
    this.#queued.clear();
    await Promise.all(this.#active.values());
  }

  wake(saga: string, id: string, row?: SagaRow): void {
    if (!this.#running) return this.#options.wakeOwner();
    const key = `${saga} ${id}`;
    if (this.#active.has(key)) this.#again.add(key);
    else if (this.#queued.size < MOST_QUEUED) this.#queued.set(key, row);
    else this.#more = true;
    this.#pump();
  }

  #pump(): void {
    for (const [key, row] of this.#queued) {
      if (this.#slots >= CONCURRENCY || this.#active.size >= MOST_ACTIVE) return;
      this.#queued.delete(key);
      const slot = this.#takeSlot();
      const work = this.#drive(key, row, slot).finally(() => {
        this.#active.delete(key);
        if (this.#again.delete(key) && this.#running) this.#queued.set(key, undefined);
        slot.free();
      });
      this.#active.set(key, work);
    }
    if (this.#more) this.look();
  }

  #takeSlot(): Slot {
    this.#slots += 1;
    let isHeld = true;
    const lend = (): void => {
      if (!isHeld) return;
      isHeld = false;
      this.#slots -= 1;
      this.#pump();
    };
    return { lend, free: () => (isHeld ? lend() : this.#pump()) };
  }

  async #poll(): Promise<void> {
    this.#more = false;
    for (const saga of this.#sagas.values()) {
      try {
        const limit = READ + this.#active.size + this.#queued.size;
        const rows = await saga.db.sql<{ id: string }>(`select id from ${saga.db.schema}_outbox.saga where name = $1 and wake_at <= now() order by wake_at limit $2`, [saga.definition.name, limit]);
        const fresh = rows.filter(({ id }) => !this.#isInHand(saga.definition.name, id));
        for (const { id } of fresh) this.wake(saga.definition.name, id);
        this.#more ||= rows.length === limit && fresh.length > 0;
      } catch (error) {
        if (this.#running) this.#options.log.warn({ err: error }, 'sagas cannot be read; they are tried again');
      }
    }
  }

  /** What is in hand is moved on without the poll, and known already: telling it again would only have it read again. */
  #isInHand(saga: string, id: string): boolean {
    const key = `${saga} ${id}`;
    return this.#active.has(key) || this.#queued.has(key);
  }

  /** Drives one instance until it waits, fails or ends. */
  async #drive(key: string, known: SagaRow | undefined, slot: Slot): Promise<void> {
    const [name, id] = key.split(' ') as [string, string];
    const saga = this.#sagas.get(name)!;
    try {
      this.#options.gate.enter();
    } catch {
      return;
    }
    try {
      let row = known ?? (await saga.load(id));
      while (this.#running && row) row = await this.#advance(saga, row, slot);
    } catch (error) {
      this.#options.log.warn({ err: error, saga: name, sagaId: id }, 'a saga could not be moved; it is tried again');
    } finally {
      this.#options.gate.leave();
    }
  }

  /** @returns the instance as it stands now when there is more to do at once */
  async #advance(saga: RunnableSaga, row: SagaRow, slot: Slot): Promise<SagaRow | undefined> {
    try {
      return await this.#tried(saga, row, slot);
    } catch (error) {
      if (isOvertaken(error)) return saga.load(row.id);
      throw error;
    }
  }

  async #tried(saga: RunnableSaga, row: SagaRow, slot: Slot): Promise<SagaRow | undefined> {
    try {
      if (row.status === 'running') return await this.#runStep(saga, row, slot);
      if (row.status === 'waiting') return await this.#timeOut(saga, row);
      if (row.status === 'compensating') return await this.#undo(saga, row, slot);
      return undefined;
    } catch (error) {
      if (isOvertaken(error)) throw error;
      return this.#failed(saga, row, error);
    }
  }

  /** What is recorded gets time of its own: an effect that took nearly all must not run once more for that. */
  #call(saga: RunnableSaga, row: SagaRow, span: Span | undefined): Call {
    const { traceparent, tracestate } = span ?? traceOf(row);
    return Call.root(saga.db.schema, this.#options.stepTimeoutMs, { traceparent, tracestate, requestId: row.request_id });
  }

  /** One that hangs is given up; it may still do its work, as one whose process died may. */
  async #within<T>(effect: (call: Call) => Promise<T> | undefined, call: Call, slot: Slot): Promise<T | undefined> {
    const late = Promise.withResolvers<never>();
    const giveUp = (): void => late.reject(new CallError('DEADLINE_EXCEEDED', 'the step took too long'));
    let timer = setTimeout(() => {
      slot.lend();
      timer = setTimeout(giveUp, call.remainingMs);
    }, Math.min(LENDS_ITS_SLOT_AFTER_MS, call.remainingMs));
    try {
      return await Promise.race([effect(call), late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** What came too late was no failure: somebody else has moved the instance. */
  async #inSpan<T>(saga: RunnableSaga, row: SagaRow, action: StepAction, work: (span: Span | undefined) => Promise<T>): Promise<T> {
    const span = this.#options.tracing?.begin(traceOf(row), stepSpan(saga, row, action));
    if (!span) return work(undefined);
    try {
      const result = await work(span);
      span.end();
      return result;
    } catch (error) {
      span.end(isOvertaken(error) ? undefined : error);
      throw error;
    }
  }

  async #runStep(saga: RunnableSaga, row: SagaRow, slot: Slot): Promise<SagaRow | undefined> {
    const step = stepOf(saga, row.step);
    return this.#inSpan(saga, row, 'run', async (span) => {
      await this.#at(saga, row.step, 'before');
      const result = await this.#within((call) => step.effect?.(row.data, call), this.#call(saga, row, span), slot);
      await this.#at(saga, row.step, 'effected');
      const moved = await this.#settled(saga, row, span, async (data, tx) => step.settle(data, result, tx));
      await this.#at(saga, row.step, 'settled');
      return unlessAtRest(moved);
    });
  }

  /** In hope first, which is one round trip, and with a look at what has come between where that fails. */
  async #settled(saga: RunnableSaga, row: SagaRow, span: Span | undefined, settle: (data: unknown, tx: Transaction) => Promise<Next>): Promise<SagaRow> {
    row.json ??= JSON.stringify(row.data);
    const attempt = async (move: (tx: Transaction, fresh: SagaRow, next: Next) => Promise<SagaRow>) =>
      saga.db.transaction({ call: this.#call(saga, row, span) }, async (tx) => {
        // A copy, because a transaction that is retried must start from the same data.
        const fresh = { ...row, data: JSON.parse(row.json!) as unknown };
        return move(tx, fresh, await settle(fresh.data, tx));
      });
    try {
      return await attempt(async (tx, fresh, next) => saga.moveInHope(tx, fresh, next));
    } catch (error) {
      if (!(error instanceof Unchanged)) throw error;
      return attempt(async (tx, fresh, next) => moveOrThrow(saga, tx, fresh, next));
    }
  }

  async #at(saga: RunnableSaga, step: string, at: string): Promise<void> {
    if (this.#options.probe) await this.#options.probe(`saga:${saga.definition.name}:${step}:${at}`);
  }

  async #timeOut(saga: RunnableSaga, row: SagaRow): Promise<SagaRow | undefined> {
    const step = stepOf(saga, row.step);
    if (!step.timedOut || !(await isDue(saga, row))) return undefined;
    return this.#inSpan(saga, row, 'time out', async (span) => unlessAtRest(await this.#settled(saga, row, span, async (data, tx) => step.timedOut!(data, tx))));
  }

  #undo(saga: RunnableSaga, row: SagaRow, slot: Slot): Promise<SagaRow | undefined> {
    return this.#inSpan(saga, row, 'undo', async (span) => this.#undoLast(saga, row, slot, span));
  }

  async #undoLast(saga: RunnableSaga, row: SagaRow, slot: Slot, span: Span | undefined): Promise<SagaRow | undefined> {
    const step = row.trail.at(-1);
    await this.#at(saga, `undo:${step}`, 'before');
    if (step !== undefined) await this.#within((call) => stepOf(saga, step).undo!(row.data, call), this.#call(saga, row, span), slot);
    await this.#at(saga, `undo:${step}`, 'effected');
    const trail = row.trail.slice(0, -1);
    const status = trail.length === 0 ? 'compensated' : 'compensating';
    await saga.db.transaction({ call: this.#call(saga, row, span) }, async (tx) => {
      if (status === 'compensated') await saga.definition.compensated?.(row.data, row.reason ?? '', tx);
      tx.mustChange(
        `update ${saga.db.schema}_outbox.saga set trail = $3, status = $4, wake_at = case when $4 = 'compensating' then now() end, attempts = 0, failing_since = null,
           last_error = null, version = version + 1, updated_at = now() where name = $1 and id = $2 and version = $5 returning 1`,
        [saga.definition.name, row.id, trail, status, row.version],
      );
    });
    await this.#at(saga, `undo:${step}`, 'settled');
    return unlessAtRest({ ...row, status, trail, attempts: 0, failing_since: null, version: row.version + 1 });
  }

  /** Later again, or give up where the step allows it. */
  async #failed(saga: RunnableSaga, row: SagaRow, error: unknown): Promise<SagaRow | undefined> {
    const call = this.#call(saga, row, undefined);
    const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    this.#options.log.warn({ err: error, saga: saga.definition.name, sagaId: row.id, step: row.step, attempts: row.attempts + 1, traceId: call.traceId }, 'a saga step failed; it is tried again');
    const since = row.failing_since ?? new Date();
    const step = saga.definition.steps[row.step];
    if (row.status === 'running' && step?.giveUpAfterMs !== undefined && Date.now() - since.getTime() >= step.giveUpAfterMs) {
      return this.#settled(saga, row, undefined, async () => ({ do: 'compensate', reason: step.giveUpReason ?? 'GAVE_UP' }));
    }
    const delay = this.#backoffMs(row.attempts + 1);
    await saga.db.sql(
      `update ${saga.db.schema}_outbox.saga set attempts = attempts + 1, failing_since = $3, last_error = $4, wake_at = now() + $5::float8 * interval '1 ms', updated_at = now()
       where name = $1 and id = $2 and version = $6`,
      [saga.definition.name, row.id, since, message, delay, row.version],
    );
    this.#later(saga.definition.name, row.id, delay);
    return undefined;
  }

  #backoffMs(attempts: number): number {
    const ceiling = Math.min(this.#options.retryMaxMs, this.#options.retryBaseMs * 2 ** Math.min(attempts - 1, 20));
    return ceiling / 2 + (ceiling / 2) * Math.random();
  }

  /** The row's wake_at is what counts; this only saves the wait for the next poll. */
  #later(saga: string, id: string, delayMs: number): void {
    if (delayMs < this.#options.pollMs) setTimeout(() => this.wake(saga, id), delayMs + 1).unref();
  }
}

/** One of the places in which instances are moved on. */
interface Slot {
  /** Lets somebody else in; the holder goes on. */
  lend(): void;
  /** The holder is done. */
  free(): void;
}

/** Where the saga began: its steps follow each other there, they do not contain each other. */
function traceOf({ traceparent, tracestate }: SagaRow): TraceContext {
  return tracestate === null ? { traceparent } : { traceparent, tracestate };
}

function stepOf(saga: RunnableSaga, name: string): SagaStep<unknown> {
  const step = saga.definition.steps[name];
  if (!step) throw new TypeError(`the saga ${saga.definition.name} has no step "${name}"; rows that stand at it need a version that has`);
  return step;
}

async function moveOrThrow(saga: RunnableSaga, tx: Transaction, row: SagaRow, next: Next): Promise<SagaRow> {
  const moved = await saga.move(tx, row, next, 'runner');
  if (!moved) throw new SagaMoved();
  return moved;
}

/** Somebody else has moved the instance meanwhile. */
function isOvertaken(error: unknown): boolean {
  return error instanceof SagaMoved || error instanceof Unchanged;
}

function unlessAtRest(row: SagaRow): SagaRow | undefined {
  return row.status === 'running' || row.status === 'compensating' ? row : undefined;
}

async function isDue(saga: RunnableSaga, row: SagaRow): Promise<boolean> {
  const [found] = await saga.db.sql(`select 1 from ${saga.db.schema}_outbox.saga where name = $1 and id = $2 and version = $3 and wake_at <= now()`, [saga.definition.name, row.id, row.version]);
  return found !== undefined;
}
