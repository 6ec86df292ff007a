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
  /** When all that follows from it had happened, as far as that was looked for. */
  doneAt?: number;
}

const WORKERS = 12;
const EVERY_MS = 200;
/** All of an operation is done by then while all is well, also on a machine that does much else. */
const DONE_MS = 2_000;
const LOOK_EVERY_MS = 200;
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
  readonly #following = new Map<Note, { readonly about: readonly string[]; readonly ofItself: readonly string[] }>();
  readonly #follower: Promise<void>;
  readonly #usedAt = new Map<Operation, number>();
  #turn = 0;
  #isOver = false;
  #isAnswered = false;

  constructor(tools: ProberTools) {
    this.#tools = tools;
    this.#workers = Array.from({ length: WORKERS }, async (_, n) => this.#work(n));
    this.#follower = this.#follow();
  }

  /** Resolves when everything has been answered, and all that follows has happened or was given up. */
  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#workers);
    this.#isAnswered = true;
    await this.#follower;
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
    const [about, ofItself] = [asked.about?.(outcome) ?? [], asked.ofItself?.(outcome) ?? []];
    if (about.length + ofItself.length > 0) this.#following.set(note, { about, ofItself });
  }

  /** One look for all: what is measured here must not feel that somebody looks. */
  async #follow(): Promise<void> {
    while (!this.#isAnswered || this.#following.size > 0) {
      await sleep(LOOK_EVERY_MS);
      const all = [...this.#following.values()];
      const busy = all.length > 0 ? await this.#tools.books.busyAmong(all.flatMap(({ about }) => about), all.flatMap(({ ofItself }) => ofItself)) : new Set();
      for (const [note, { about, ofItself }] of this.#following) this.#judge(note, [...about, ...ofItself].some((id) => busy.has(id)));
    }
  }

  #judge(note: Note, isBusy: boolean): void {
    const waited = performance.now() - note.answeredAt;
    if (waited > DONE_MS) note.worth = 'queued';
    if (!isBusy) note.doneAt = performance.now();
    if (!isBusy || waited > PATIENCE_MS) this.#following.delete(note);
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
