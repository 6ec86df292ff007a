/**
 * Takes no more requests at a time than can be answered soon, and turns the others away at once: whoever waits behind a
 * queue that does not get shorter is answered late, and so is everybody after him.
 *
 *   open ------a queue stands------------> limited (to fewer than are open)
 *   limited ---a queue still stands------> limited to fewer still
 *   limited ---none does-----------------> limited to more
 *   limited ---the limit is out of reach-> open
 *
 * A queue stands when even the luckiest had to wait: the shortest wait of an interval counts (as in CoDel, RFC 8289), for
 * the event loop as for a database connection, so that neither a burst nor a pause of the garbage collector turns anybody
 * away. What is limited is the number of requests that are open, not their rate: it needs no knowledge of what one costs.
 */
import type { Logger } from 'pino';
import { CallError } from '../contract/errors.ts';

/** What the requests of one route take of the process. */
export interface RouteLoad {
  /** Whether no more are taken now. */
  isFull(): boolean;
  enter(): void;
  leave(): void;
}

export interface OverloadOptions {
  /** How long a request may wait in queues at the least, in ms; 0: however long. */
  readonly delayMs: number;
  /** The shortest wait of a request, and of what it sets off, for database connections since it was last asked, in ms. */
  readonly databaseDelayMs: () => number;
  readonly log: Logger;
}

/** Why a request is turned away: one for all, since turning away must cost next to nothing, a line in the log included. */
export const OVERLOADED = new CallError('UNAVAILABLE', 'there is more to do than can be done; repeat a little later');

const TICK_MS = 50;
/** Ticks in a row that must find a queue: a disk that stands still for a moment is no overload. */
const STANDING = 5;
/** So many are taken however long the queue is: what stands in it then is the shop's own work. */
const LEAST = 32;
/** A request that asks the database comes back to the event loop so many times, but waits for a connection once. */
const TURNS = 4;
const MOST_CUT = 0.4;
const LEAST_CUT = 0.9;
const GROWTH = 1.05;
/** A limit so many times higher than what is open limits nothing any more. */
const OUT_OF_REACH = 4;

export class Overload {
  readonly #options: OverloadOptions;
  readonly #timer: NodeJS.Timeout | undefined;
  #limit = Number.POSITIVE_INFINITY;
  #open = 0;
  /** Most that were open since the last tick. */
  #peak = 0;
  #busyRoutes = 0;
  #refused = 0;
  #lastTick = performance.now();
  #delays: number[] = [];

  constructor(options: OverloadOptions) {
    this.#options = options;
    if (options.delayMs > 0) this.#timer = setInterval(() => this.#tick(), TICK_MS).unref();
  }

  get open(): number {
    return this.#open;
  }

  /** How many requests are taken at a time; infinite while there is room. */
  get limit(): number {
    return this.#limit;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Routes share the limit evenly: what is cheap is not turned away for what is not. */
  route(): RouteLoad {
    let open = 0;
    return {
      isFull: () => {
        const isFull = this.#open >= this.#limit && open >= this.#limit / this.#busyRoutes;
        if (isFull) this.#refused += 1;
        return isFull;
      },
      enter: () => {
        if (open === 0) this.#busyRoutes += 1;
        open += 1;
        this.#open += 1;
        if (this.#open > this.#peak) this.#peak = this.#open;
      },
      leave: () => {
        open -= 1;
        this.#open -= 1;
        if (open === 0) this.#busyRoutes -= 1;
      },
    };
  }

  #tick(): void {
    const now = performance.now();
    const late = now - this.#lastTick - TICK_MS;
    this.#lastTick = now;
    this.#delays = [...this.#delays.slice(1 - STANDING), Math.max(0, late) * TURNS + this.#options.databaseDelayMs()];
    if (this.#delays.length === STANDING) this.#adjust(Math.min(...this.#delays));
    this.#peak = this.#open;
  }

  #adjust(delay: number): void {
    const { delayMs } = this.#options;
    if (delay > delayMs && this.#peak > LEAST) this.#lower(delayMs / delay);
    else if (this.#limit !== Number.POSITIVE_INFINITY) this.#raise();
  }

  #lower(part: number): void {
    if (this.#limit === Number.POSITIVE_INFINITY) this.#options.log.warn('more is asked than can be done: some requests are turned away until that is over');
    const cut = Math.min(LEAST_CUT, Math.max(MOST_CUT, part));
    this.#limit = Math.max(LEAST, Math.min(this.#limit, this.#peak) * cut);
    // What the new limit does shows only after a while.
    this.#delays = [];
  }

  #raise(): void {
    this.#limit *= GROWTH;
    if (this.#limit < Math.max(LEAST, this.#peak) * OUT_OF_REACH) return;
    this.#limit = Number.POSITIVE_INFINITY;
    this.#options.log.warn({ refused: this.#refused }, 'there is room again for all that is asked');
    this.#refused = 0;
  }
}
