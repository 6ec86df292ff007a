/**
 * Carries a module's events from its outbox to all subscribers, at least once and in order per aggregate.
 * One relay runs per module: in the process that owns the module.
 *
 *   pending (in the outbox) --read--> in flight: one delivery per subscriber
 *   delivery --handled--> settled
 *   delivery --failed | held | the lane is parked--> parked (see parking.ts) --> settled
 *   in flight --all deliveries settled--> completed in the outbox, many at once
 *
 * It reads by state, never by a growing id, so a transaction that commits late is not skipped. A crash between
 * a delivery and the completion repeats deliveries; the subscribers' inboxes make that harmless.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { EventEnvelope } from '../contract/types.ts';
import { type Deliver, type DeliveryResult, notHandled, type Subscriptions } from './delivery.ts';
import { Lanes } from './lanes.ts';
import type { Outbox } from './outbox.ts';
import type { Parking } from './parking.ts';
import { Retries } from './retries.ts';

export interface RelayOptions {
  readonly outbox: Outbox;
  readonly parking: Parking;
  readonly subscriptions: Subscriptions;
  readonly deliver: Deliver;
  readonly log: Logger;
  /** Floor of polling when nothing wakes the relay. */
  readonly pollMs: number;
}

/**
 * Milliseconds between two looks: as many as the last one found events, up to this, and more while much is in flight, which
 * a look has to pass over. In a busy shop each look finds several events then, and they are handled together; in a
 * quiet one an event is looked for at once.
 */
const MOST_PAUSE_MS = 5;
const PASSED_OVER_PER_MS = 20;
const IN_FLIGHT = 2_000;
const READ = 500;
/** A look that finds room may take a whole reading more. */
export const MOST_IN_FLIGHT = IN_FLIGHT + READ;
const BATCH = 50;
const BATCHES_PER_SUBSCRIBER = 2;
/** A subscriber that ends no batch for so long gives up its room in the flight, so that the others get theirs. */
const STUCK_MS = 1_000;
const NOTHING_DELIVERED: ReadonlyMap<string, DeliveryResult> = new Map();

export class Relay {
  readonly #options: RelayOptions;
  readonly #retries: Retries;
  readonly #lanes = new Map<string, Lanes>();
  /** Subscribers still to settle, per event in flight. */
  readonly #open = new Map<string, Set<string>>();
  readonly #done: string[] = [];
  /** Deliveries that are made once more, by subscriber and event. */
  readonly #replayed = new Map<string, PromiseWithResolvers<boolean>>();
  #running = false;
  #leaving = new AbortController();
  #turn: Promise<void> | undefined;
  #again = false;
  #lookedAt = Number.NEGATIVE_INFINITY;
  /** Events that the last look found. */
  #found = 0;
  /** The next look shall also find what nobody told of. */
  #thorough = true;
  /** The flight was full at the last look: there may be more to read as soon as there is room. */
  #more = false;
  #completing: Promise<void> | undefined;
  #poll: NodeJS.Timeout | undefined;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#retries = new Retries({ parking: options.parking, log: options.log, deliver: async (subscriber, events) => this.#deliver(subscriber, events), wake: () => this.wake() });
  }

  async start(): Promise<void> {
    await this.#retries.start();
    this.#leaving = new AbortController();
    this.#running = true;
    this.#poll = setInterval(() => this.#wakeThoroughly(), this.#options.pollMs);
    this.#wakeThoroughly();
  }

  #wakeThoroughly(): void {
    this.#thorough = true;
    this.wake();
  }

  /** Looks for events soon; calls before a look are answered by it, calls during it by one more. */
  wake(): void {
    if (!this.#running) return;
    if (this.#turn) {
      this.#again = true;
      return;
    }
    this.#turn = this.#look().finally(() => {
      this.#turn = undefined;
      if (!this.#again) return;
      this.#again = false;
      this.wake();
    });
  }

  /**
   * Hands events that are done to one subscriber once more, behind what it is to get already. Asked again before that has been
   * done, it waits for that: a subscriber that is away for long does not find each of them many times.
   * @returns whether each is handled or parked now; false when the relay stopped before
   */
  async redeliver(subscriber: string, events: readonly EventEnvelope[]): Promise<boolean> {
    if (!this.#running) return false;
    const lanes = this.#lanesOf(subscriber);
    const settled = events.map((event) => {
      const key = deliveryKey(subscriber, event);
      const known = this.#replayed.get(key);
      if (known) return known.promise;
      const delivery = Promise.withResolvers<boolean>();
      this.#replayed.set(key, delivery);
      lanes.offer(event);
      return delivery.promise;
    });
    lanes.pump();
    return (await Promise.all(settled)).every(Boolean);
  }

  /** Deliveries under way are finished and recorded, unless they wait for a subscriber that is away; the rest stays in the outbox. */
  async stop(): Promise<void> {
    this.#running = false;
    this.#leaving.abort();
    clearInterval(this.#poll);
    this.#retries.halt();
    // At once, before anything is waited for: an event that fails now is not parked, so the next one must not start.
    const settled = [...this.#lanes.values()].map(async (lanes) => lanes.stop());
    await this.#turn;
    await Promise.all(settled);
    await this.#retries.stop();
    await this.#complete();
    this.#open.clear();
    this.#lanes.clear();
    for (const { resolve } of this.#replayed.values()) resolve(false);
    this.#replayed.clear();
  }

  async #look(): Promise<void> {
    await this.#rest();
    const mayBeDue = this.#thorough || this.#retries.areWaiting;
    this.#again = false;
    this.#thorough = false;
    try {
      if (this.#running) await this.#readPending();
      if (this.#running && mayBeDue) await this.#retries.retryDue();
    } catch (error) {
      if (this.#running) this.#options.log.warn({ err: error }, 'the outbox cannot be read; it is tried again');
    }
  }

  async #rest(): Promise<void> {
    const left = this.#lookedAt + Math.min(this.#found, MOST_PAUSE_MS) + this.#open.size / PASSED_OVER_PER_MS - performance.now();
    if (left > 0) await sleep(left);
    this.#lookedAt = performance.now();
  }

  async #readPending(): Promise<void> {
    this.#more = this.#open.size >= IN_FLIGHT;
    if (this.#more) return this.#makeRoom();
    const known = [...this.#open.keys(), ...this.#done];
    const events = await this.#options.outbox.pending(READ, known, this.#options.parking.epoch);
    this.#found = events.length;
    if (!this.#running) return;
    const touched = new Set<Lanes>();
    for (const event of events) if (!this.#open.has(event.id)) this.#admit(event, touched);
    for (const lanes of touched) lanes.pump();
    void this.#complete();
    if (events.length === READ) this.#again = true;
  }

  #makeRoom(): void {
    for (const lanes of this.#lanes.values()) if (lanes.isStuckFor(STUCK_MS)) lanes.spill();
  }

  #admit(event: EventEnvelope, touched: Set<Lanes>): void {
    const subscribers = this.#options.subscriptions(event.type);
    if (subscribers.length === 0) {
      this.#done.push(event.id);
      return;
    }
    this.#open.set(event.id, new Set(subscribers));
    for (const subscriber of subscribers) {
      const lanes = this.#lanesOf(subscriber);
      lanes.offer(event);
      touched.add(lanes);
    }
  }

  #lanesOf(subscriber: string): Lanes {
    const known = this.#lanes.get(subscriber);
    if (known) return known;
    const lanes = new Lanes({
      concurrency: BATCHES_PER_SUBSCRIBER,
      batchSize: BATCH,
      run: async (batch) => this.#runBatch(subscriber, batch),
      spill: async (batch) => this.#settleAll(subscriber, batch, NOTHING_DELIVERED),
    });
    this.#lanes.set(subscriber, lanes);
    return lanes;
  }

  async #runBatch(subscriber: string, batch: readonly EventEnvelope[]): Promise<void> {
    const free = batch.filter((event) => !this.#retries.isParked(subscriber, event.aggregateId));
    const results = free.length > 0 ? await this.#deliver(subscriber, free) : [];
    await this.#settleAll(subscriber, batch, new Map(free.map((event, index) => [event.id, results[index]!])));
  }

  async #deliver(subscriber: string, events: readonly EventEnvelope[]): Promise<DeliveryResult[]> {
    try {
      return await this.#options.deliver(subscriber, events, this.#leaving.signal);
    } catch (error) {
      return events.map(() => notHandled(error));
    }
  }

  /** Events that were not delivered are held. */
  async #settleAll(subscriber: string, batch: readonly EventEnvelope[], results: ReadonlyMap<string, DeliveryResult>): Promise<void> {
    for (const event of batch) await this.#settle(subscriber, event, results.get(event.id) ?? { outcome: 'held' });
    void this.#complete();
  }

  /** The lane waits until an event that was not handled is parked: going on without it would break the order. */
  async #settle(subscriber: string, event: EventEnvelope, result: DeliveryResult): Promise<void> {
    if (result.outcome !== 'handled' && !(await this.#retries.park(subscriber, event, result))) {
      // Not parked means that another owner goes on, so this one may not deliver what comes after.
      for (const lanes of this.#lanes.values()) void lanes.stop();
      return;
    }
    const key = deliveryKey(subscriber, event);
    this.#replayed.get(key)?.resolve(true);
    this.#replayed.delete(key);
    const open = this.#open.get(event.id);
    open?.delete(subscriber);
    if (open?.size === 0) this.#finish(event.id);
  }

  #finish(id: string): void {
    this.#open.delete(id);
    this.#done.push(id);
  }

  /** One statement for all that is done; what finishes meanwhile goes with the next one. */
  async #complete(): Promise<void> {
    while (this.#completing) await this.#completing;
    if (this.#done.length === 0) return;
    const ids = [...this.#done];
    this.#completing = this.#options.outbox.complete(ids).then(
      () => void this.#done.splice(0, ids.length),
      (error: unknown) => this.#options.log.warn({ err: error }, 'events could not be completed; they are delivered again'),
    );
    await this.#completing;
    this.#completing = undefined;
    if (this.#more && this.#open.size < IN_FLIGHT / 2) this.wake();
  }
}

function deliveryKey(subscriber: string, { id }: EventEnvelope): string {
  return `${subscriber} ${id}`;
}
