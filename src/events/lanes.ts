/**
 * Orders deliveries to one subscriber: events of one aggregate go one after the other, those of different
 * aggregates side by side, several to a batch.
 *
 *   idle aggregate --offer--> ready --batch takes its oldest events--> busy --settled--> idle | ready
 *   ready --spill, when the batches hang--> busy --settled without a delivery--> idle | ready
 *   any --stop--> forgotten, once what is busy has settled; nothing is taken any more
 */
import type { EventEnvelope } from '../contract/types.ts';

export interface LanesOptions {
  /** Batches under way at the same time. */
  readonly concurrency: number;
  /** Events in a batch at the most. */
  readonly batchSize: number;
  /** Delivers a batch and settles each of its events; never rejects. */
  run(batch: readonly EventEnvelope[]): Promise<void>;
  /** Settles events without a delivery, so that they do not take up room; never rejects. */
  spill(batch: readonly EventEnvelope[]): Promise<void>;
}

export class Lanes {
  readonly #options: LanesOptions;
  readonly #waiting = new Map<string, EventEnvelope[]>();
  readonly #ready = new Set<string>();
  readonly #busy = new Set<string>();
  #batches = 0;
  #working = 0;
  #movedAt = performance.now();
  #stopped = false;
  #idle: (() => void)[] = [];

  constructor(options: LanesOptions) {
    this.#options = options;
  }

  /** Whether events wait while no batch has ended for so many milliseconds. */
  isStuckFor(ms: number): boolean {
    return this.#batches > 0 && this.#ready.size > 0 && performance.now() - this.#movedAt > ms;
  }

  offer(event: EventEnvelope): void {
    if (this.#stopped) return;
    const queue = this.#waiting.get(event.aggregateId);
    if (queue) queue.push(event);
    else this.#waiting.set(event.aggregateId, [event]);
    if (!this.#busy.has(event.aggregateId)) this.#ready.add(event.aggregateId);
  }

  /** Starts as many batches as may run. */
  pump(): void {
    while (this.#batches < this.#options.concurrency && this.#ready.size > 0) void this.#runBatch(this.#take(this.#options.batchSize));
  }

  /** Gets rid of all that waits and is not held up by its own aggregate. */
  spill(): void {
    if (this.#ready.size > 0) void this.#spill(this.#take(Number.POSITIVE_INFINITY));
  }

  /** Forgets what has not been started; resolves when what runs has settled. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#waiting.clear();
    this.#ready.clear();
    if (this.#working > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #take(limit: number): EventEnvelope[] {
    const batch: EventEnvelope[] = [];
    for (const aggregate of this.#ready) {
      if (batch.length >= limit) break;
      const queue = this.#waiting.get(aggregate)!;
      for (const event of queue.splice(0, limit - batch.length)) batch.push(event);
      if (queue.length === 0) this.#waiting.delete(aggregate);
      this.#ready.delete(aggregate);
      this.#busy.add(aggregate);
    }
    return batch;
  }

  async #runBatch(batch: EventEnvelope[]): Promise<void> {
    if (this.#batches === 0) this.#movedAt = performance.now();
    this.#batches += 1;
    await this.#work(batch, async (events) => this.#options.run(events));
    this.#batches -= 1;
    this.#movedAt = performance.now();
    this.pump();
  }

  /** What came meanwhile for an aggregate that was being spilt has nobody else who would start it. */
  async #spill(batch: EventEnvelope[]): Promise<void> {
    await this.#work(batch, async (events) => this.#options.spill(events));
    this.pump();
  }

  async #work(batch: EventEnvelope[], work: (batch: readonly EventEnvelope[]) => Promise<void>): Promise<void> {
    this.#working += 1;
    await work(batch);
    this.#working -= 1;
    for (const { aggregateId } of batch) this.#free(aggregateId);
    if (this.#working === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  #free(aggregate: string): void {
    this.#busy.delete(aggregate);
    if (this.#waiting.has(aggregate)) this.#ready.add(aggregate);
  }
}
