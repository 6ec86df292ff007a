/**
 * Counts requests for all processes of a deployment together, in Redis, where REDIS_URL names one.
 *
 *   together --no answer within 100 ms, or an error--> alone --a probe, each second, is answered in time--> together
 *
 * Each process also counts by itself, always. So while it is alone it goes on from what it knows, and a limit then holds
 * per process; a caller that one process has seen enough of costs Redis nothing more; and no request ever waits for
 * Redis longer than those 100 ms, once per fall: alone, only the probes ask it.
 *
 * Rejected: failing open, which lifts all limits for whoever can slow Redis down. Rejected: telling Redis in the
 * background what was counted here: half a millisecond less per request, but limits that burst through on every process.
 */
import type { FastifyRateLimitStore, FastifyRateLimitStoreCtor } from '@fastify/rate-limit';
import LocalStore from '@fastify/rate-limit/store/LocalStore.js';
import RedisStore from '@fastify/rate-limit/store/RedisStore.js';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { Patience } from './patience.ts';

/** A hundred times what an answer takes on a network of one's own. */
const ANSWER_MS = 100;
const PROBE_MS = 1_000;
/** For the first connection; a start waits no longer for it. */
const CONNECT_MS = 1_000;
/** A connection on which answers are owed for so long is dead. */
const SILENCE_MS = 5_000;
const RECONNECT_MOST_MS = 1_000;
const PREFIX = 'cleave:limit:';

export class SharedCounts {
  readonly patience = new Patience(ANSWER_MS);
  readonly #redis: Redis;
  readonly #log: Logger;
  readonly #prefix: string;
  readonly #probes: FastifyRateLimitStore;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(redis: Redis, log: Logger, prefix: string) {
    this.#redis = redis;
    this.#log = log;
    this.#prefix = prefix;
    this.#probes = new RedisStore(false, false, redis, prefix);
    // What a lost connection means is told once, by `fall`; ioredis tells it at every attempt.
    redis.on('error', () => undefined);
    redis.on('close', () => this.fall(new Error('the connection is closed')));
  }

  /**
   * Resolves when Redis has answered, or after a second; a Redis that comes later is found then.
   * @param countedAs only those with the same name count together
   */
  static async open(url: string, log: Logger, countedAs?: string): Promise<SharedCounts> {
    const { Redis } = await import('ioredis');
    const redis = new Redis(url, {
      lazyConnect: true,
      connectTimeout: CONNECT_MS,
      socketTimeout: SILENCE_MS,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      retryStrategy: (attempt) => Math.min(RECONNECT_MOST_MS, 50 * attempt),
      connectionName: 'cleave',
    });
    const counts = new SharedCounts(redis, log, countedAs === undefined ? PREFIX : `${PREFIX}${countedAs}:`);
    await redis.connect().catch((error: unknown) => counts.fall(error));
    return counts;
  }

  /** Whether Redis is asked at present. */
  get together(): boolean {
    return this.#timer === undefined;
  }

  /** For the `store` option of @fastify/rate-limit. */
  get store(): FastifyRateLimitStoreCtor {
    const init = [this, new RedisStore(false, false, this.#redis, this.#prefix)] as const;
    return class extends Store {
      constructor() {
        super(...init);
      }
    };
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#redis.disconnect();
  }

  /** Redis has not answered in time, or not what it was asked. */
  fall(error: unknown): void {
    if (!this.together || this.#closed) return;
    this.#log.warn({ err: error }, 'Redis does not answer in time: each process counts requests by itself until it does');
    this.#timer = setInterval(() => this.#probe(), PROBE_MS).unref();
  }

  /** Counts something that nobody is: what answers a ping may still refuse to count. */
  #probe(): void {
    this.patience.await<Count>((error) => (error ? undefined : this.#rise()), (reply) => this.#probes.incr('probe', reply, PROBE_MS, 1));
  }

  #rise(): void {
    if (this.together || this.#closed) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#log.info('Redis answers again: requests are counted for all processes together');
  }
}

type Counted = Parameters<FastifyRateLimitStore['incr']>[1];
type Count = NonNullable<Parameters<Counted>[1]>;

class Store implements FastifyRateLimitStore {
  readonly #shared: SharedCounts;
  readonly #everywhere: FastifyRateLimitStore;
  readonly #here: FastifyRateLimitStore = new LocalStore(false, false);

  constructor(shared: SharedCounts, everywhere: FastifyRateLimitStore) {
    this.#shared = shared;
    this.#everywhere = everywhere;
  }

  incr(caller: string, done: Counted, windowMs: number, max: number): void {
    const counted: Counted = (_, here) => {
      // A copy: the local store goes on counting in what it hands out.
      if (this.#shared.together && here!.current <= max) this.#ask(caller, { ...here! }, done, windowMs, max);
      else done(null, here);
    };
    this.#here.incr(caller, counted, windowMs, max);
  }

  child(): Store {
    return new Store(this.#shared, this.#everywhere);
  }

  #ask(caller: string, here: Count, done: Counted, windowMs: number, max: number): void {
    const answered: Counted = (error, everywhere) => {
      if (error) this.#shared.fall(error);
      done(null, everywhere && everywhere.current > here.current ? everywhere : here);
    };
    this.#shared.patience.await(answered, (reply) => this.#everywhere.incr(caller, reply, windowMs, max));
  }
}
