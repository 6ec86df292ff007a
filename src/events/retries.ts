/**
 * The parked lanes of a module's events, as its owner knows them, and the retries of their heads.
 *
 *   free lane --park--> parked --retry of its head: handled | dead, and nothing left--> free
 *
 * Changes to a lane are made one after the other, and repeated until the database has confirmed them: between what
 * is known here and what stands there may be no difference, or events would pass each other or wait for ever.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { EventEnvelope } from '../contract/types.ts';
import type { DeliveryResult } from './delivery.ts';
import { type Parked, type Parking, Replaced } from './parking.ts';
import { Serial } from './serial.ts';

export interface RetriesOptions {
  readonly parking: Parking;
  readonly log: Logger;
  deliver(subscriber: string, events: readonly EventEnvelope[]): Promise<DeliveryResult[]>;
  /** Something may be due, or may be so soon. */
  wake(): void;
}

const READ = 50;
/** Few, so that a subscriber that hangs leaves connections to the other work of its module. */
const PER_SUBSCRIBER = 2;
const RECORD_AGAIN_MS = 200;
const DUE_CHECK_MS = 100;

type NotHandled = Exclude<DeliveryResult, { outcome: 'handled' }>;

export class Retries {
  readonly #options: RetriesOptions;
  readonly #parked = new Set<string>();
  /** Heads that are due, by subscriber: being retried, or next to be. A lane is at most once among them. */
  readonly #due = new Map<string, { running: number; next: Parked[] }>();
  readonly #busy = new Set<string>();
  readonly #work = new Set<Promise<void>>();
  readonly #serial = new Serial();
  #running = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RetriesOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    this.#parked.clear();
    for (const lane of await this.#options.parking.begin()) this.#parked.add(laneKey(lane.subscriber, lane.aggregateId));
    this.#running = true;
  }

  /** Retries under way are finished; what cannot be recorded at once is left to the next owner. */
  async stop(): Promise<void> {
    this.halt();
    await Promise.all(this.#work);
  }

  halt(): void {
    this.#running = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const { next } of this.#due.values()) for (const parked of next.splice(0)) this.#busy.delete(laneOf(parked));
  }

  /** Whether any lane is parked, and so may be due. Dead letters that were redriven are not known here until they are. */
  get areWaiting(): boolean {
    return this.#parked.size > 0;
  }

  isParked(subscriber: string, aggregateId: string): boolean {
    return this.#parked.has(laneKey(subscriber, aggregateId));
  }

  /** @returns false when the event is left to the next owner */
  async park(subscriber: string, event: EventEnvelope, { outcome, error }: NotHandled): Promise<boolean> {
    const key = laneKey(subscriber, event.aggregateId);
    const tries = outcome === 'failed' ? 1 : 0;
    const recorded = await this.#serial.run(key, async () => {
      const reason = error === undefined ? this.#parked.has(key) ? undefined : { error: NOT_TRIED, tries } : { error, tries };
      this.#parked.add(key);
      return this.#surely(key, async () => this.#options.parking.park(subscriber, event, reason));
    });
    if (recorded && tries > 0 && this.#options.parking.isLastTry({ attempts: 0 })) this.#tellOfDeath(subscriber, event);
    this.#schedule();
    return recorded;
  }

  async retryDue(): Promise<void> {
    const subscribers = [...this.#due].filter(([, { next }]) => next.length > 0).map(([subscriber]) => subscriber);
    const found = await this.#options.parking.due(READ, { subscribers, lanes: [...this.#busy] });
    if (!this.#running) return;
    for (const parked of found) {
      this.#busy.add(laneOf(parked));
      this.#dueOf(parked.subscriber).next.push(parked);
    }
    for (const subscriber of new Set(found.map((parked) => parked.subscriber))) this.#pump(subscriber);
    this.#schedule();
  }

  #dueOf(subscriber: string): { running: number; next: Parked[] } {
    const due = this.#due.get(subscriber) ?? { running: 0, next: [] };
    this.#due.set(subscriber, due);
    return due;
  }

  #pump(subscriber: string): void {
    const due = this.#dueOf(subscriber);
    while (due.running < PER_SUBSCRIBER && due.next.length > 0) this.#retry(due.next.shift()!);
    if (due.next.length === 0) this.#options.wake();
  }

  #retry(parked: Parked): void {
    const due = this.#dueOf(parked.subscriber);
    due.running += 1;
    const work = this.#retryOne(parked, laneOf(parked)).finally(() => {
      due.running -= 1;
      this.#busy.delete(laneOf(parked));
      this.#work.delete(work);
      this.#pump(parked.subscriber);
    });
    this.#work.add(work);
  }

  async #retryOne(parked: Parked, key: string): Promise<void> {
    // A redriven dead letter may have come into a lane that was free.
    this.#parked.add(key);
    const [result] = await this.#options.deliver(parked.subscriber, [parked.envelope]);
    await this.#serial.run(key, async () => this.#surely(key, async () => this.#record(parked, result!)));
  }

  async #record(parked: Parked, result: DeliveryResult): Promise<boolean> {
    const { parking } = this.#options;
    if (result.outcome === 'handled') return parking.handled(parked);
    if (result.outcome === 'held') return parking.postponed(parked, result.error);
    const waiting = await parking.failed(parked, result.error);
    if (parking.isLastTry(parked)) this.#tellOfDeath(parked.subscriber, parked.envelope);
    return waiting;
  }

  #tellOfDeath(subscriber: string, event: EventEnvelope): void {
    this.#options.log.error({ subscriber, eventId: event.id, eventType: event.type }, 'an event became a dead letter');
  }

  /** Repeats a change until it is confirmed. @returns false when this is not the owner any more */
  async #surely(key: string, change: () => Promise<boolean>): Promise<boolean> {
    while (this.#running) {
      try {
        if (!(await change())) this.#parked.delete(key);
        return true;
      } catch (error) {
        this.#options.log.warn({ err: error }, 'what became of an event could not be recorded; it is tried again');
        if (error instanceof Replaced) this.halt();
        else await sleep(RECORD_AGAIN_MS);
      }
    }
    return false;
  }

  #schedule(): void {
    if (this.#parked.size === 0 || !this.#running || this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#options.wake();
    }, DUE_CHECK_MS);
  }
}

const NOT_TRIED = 'not tried: an event before it failed or took too long';

function laneKey(subscriber: string, aggregateId: string): string {
  return `${subscriber} ${aggregateId}`;
}

function laneOf({ subscriber, envelope }: Parked): string {
  return laneKey(subscriber, envelope.aggregateId);
}
