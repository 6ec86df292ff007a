/** Asks every public operation, over and over and at an even pace, and notes what each answer is worth. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, type Api, type Outcome, told } from '../torture/api.testing.ts';
import type { Books } from '../torture/books.testing.ts';
import { type Operation, operations, type Stage, type Supplies } from './operations.testing.ts';

/**
 * works: as always. late: it took longer than anybody likes. degraded: it came without what somebody else would have said. queued: what
 * follows from it has not happened yet. 503: refused, with the time to wait. none: nobody took the connection, or it was lost.
 */
export type Worth = 'works' | 'late' | 'degraded' | 'queued' | '503' | 'none';

export interface Note {
  readonly route: string;
  /** Milliseconds of `performance.now()`. */
  readonly askedAt: number;
  readonly answeredAt: number;
  worth: Worth;
  /** When all that follows from it had happened; for `queued`, and until it is known. */
  doneAt?: number;
}

const WORKERS = 12;
const EVERY_MS = 200;
/** All of an operation is done by then while all is well, also on a machine that does much else. */
const DONE_MS = 2_000;
const LOOK_EVERY_MS = 100;
/** What uses something up. */
const USE_EVERY_MS = 1_200;
/** For what is queued while somebody is away. */
const PATIENCE_MS = 60_000;

export const LATE_MS = 400;

export class Prober {
  readonly notes: Note[] = [];
  /** What no client may be answered, whatever has failed. */
  readonly wrong: string[] = [];
  /** Orders that were acknowledged. */
  readonly orders: string[] = [];
  readonly #tools: ProberTools;
  readonly #workers: Promise<void>[];
  readonly #following = new Set<Promise<void>>();
  readonly #usedAt = new Map<Operation, number>();
  #turn = 0;
  #isOver = false;

  constructor(tools: ProberTools) {
    this.#tools = tools;
    this.#workers = Array.from({ length: WORKERS }, async (_, n) => this.#work(n));
  }

  /** Resolves when everything has been answered, and all that follows has happened or was given up. */
  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#workers);
    await Promise.all(this.#following);
  }

  async #work(n: number): Promise<void> {
    await sleep((EVERY_MS / WORKERS) * n);
    while (!this.#isOver) {
      const due = performance.now() + EVERY_MS;
      await this.#ask(operations[this.#turn++ % operations.length]!);
      await sleep(Math.max(0, due - performance.now()));
    }
  }

  async #ask(operation: Operation): Promise<void> {
    const { api, stage, supplies } = this.#tools;
    if (operation.usesUp && performance.now() - (this.#usedAt.get(operation) ?? 0) < USE_EVERY_MS) return;
    this.#usedAt.set(operation, performance.now());
    const asked = operation.ask(stage, supplies);
    if (!asked) return;
    const askedAt = performance.now();
    const outcome = await api.once(asked.question);
    const answeredAt = performance.now();
    const note: Note = { route: operation.route, askedAt, answeredAt, worth: worthOf(operation, outcome, answeredAt - askedAt) };
    this.notes.push(note);
    if (typeof outcome === 'string' || outcome.status === 503) return;
    if (outcome.status >= 300) return void this.wrong.push(`${operation.route} was answered ${told(outcome)}`);
    if (operation.route === 'POST /api/v1/orders') this.orders.push(outcome.body.id as string);
    if (!asked.about) return;
    const following = this.#follow(note, asked.about(outcome)).finally(() => this.#following.delete(following));
    this.#following.add(following);
  }

  async #follow(note: Note, ids: readonly string[]): Promise<void> {
    while (performance.now() - note.answeredAt < PATIENCE_MS) {
      await sleep(LOOK_EVERY_MS);
      if (await this.#tools.books.isDoneWith(ids)) return void (note.doneAt = performance.now());
      if (performance.now() - note.answeredAt > DONE_MS) note.worth = 'queued';
    }
  }
}

export interface ProberTools {
  readonly api: Api;
  readonly stage: Stage;
  readonly supplies: Supplies;
  readonly books: Books;
}

function worthOf({ isDegraded }: Operation, outcome: Outcome, ms: number): Worth {
  if (typeof outcome === 'string') return 'none';
  if (outcome.status === 503) return '503';
  if (outcome.status < 300 && isDegraded?.(outcome satisfies Answer)) return 'degraded';
  return ms > LATE_MS ? 'late' : 'works';
}
