/**
 * A read cache that agrees with those of the same name in all processes. Of one key:
 *
 *   absent --get--> loading --load succeeds--> cached --ttl, too many entries--> absent
 *   loading | cached --invalidated--> absent: the load goes on for those who wait for it already, but fills
 *     nothing and nobody joins it any more
 *   loading --load fails--> absent; all who wait get the error
 *   any --the bus is live again--> absent
 *
 * While the bus is not live, invalidations may be missing: nothing is served from the cache, and a reader
 * shares only a load that begins after it asked (the one under way may have begun before a change that this
 * reader must see). So even then at most two loads of a key follow each other, however many ask.
 */
import type { Bus } from '../bus/bus.ts';
import type { CacheOptions, ReadCache } from './cache.ts';
import type { CacheCounts } from './counts.ts';
import { deepFreeze } from './freeze.ts';

interface Entry<V> {
  readonly value: V;
  /** `performance.now()` from which on it is too old. */
  readonly until: number;
  /** Whether it was read since it was last spared. */
  used: boolean;
}

export interface SharedCacheInit extends CacheOptions {
  readonly bus: Bus;
  /** Names the cache among all processes. */
  readonly topic: string;
}

const EVERYTHING = '*';

export class SharedCache<V> implements ReadCache<V> {
  readonly counts: CacheCounts = { hits: 0, loads: 0, shared: 0, invalidations: 0 };
  readonly #init: SharedCacheInit;
  /** In the order of filling, save for those that were spared. */
  readonly #entries = new Map<string, Entry<V>>();
  readonly #loading = new Map<string, Promise<V>>();
  readonly #next = new Map<string, Promise<V>>();

  constructor(init: SharedCacheInit) {
    this.#init = init;
    init.bus.subscribe(init.topic, (payload) => this.#forget(payload));
    init.bus.onLive(() => this.#forget(EVERYTHING));
  }

  get size(): number {
    return this.#entries.size;
  }

  peek(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (!entry || !this.#init.bus.live) return undefined;
    if (entry.until <= performance.now()) {
      this.#entries.delete(key);
      return undefined;
    }
    entry.used = true;
    this.counts.hits += 1;
    return entry.value;
  }

  async get(key: string, load: () => Promise<V>): Promise<V> {
    const cached = this.peek(key);
    if (cached !== undefined) return cached;
    const loading = this.#loading.get(key);
    if (!loading) return this.#load(key, load);
    this.counts.shared += 1;
    return this.#init.bus.live ? loading : this.#loadAfter(loading, key, load);
  }

  async invalidate(keys?: readonly string[]): Promise<void> {
    if (keys?.length === 0) return;
    await this.#init.bus.confirm(this.#init.topic, keys ? JSON.stringify(keys) : EVERYTHING);
  }

  #load(key: string, load: () => Promise<V>): Promise<V> {
    this.counts.loads += 1;
    const loading: Promise<V> = begin(load).then(
      (value) => {
        deepFreeze(value);
        if (this.#end(key, loading) && value !== undefined) this.#keep(key, value);
        return value;
      },
      (error: unknown) => {
        this.#end(key, loading);
        throw error;
      },
    );
    this.#loading.set(key, loading);
    return loading;
  }

  /** @returns whether nothing was forgotten since the load began */
  #end(key: string, loading: Promise<V>): boolean {
    return this.#loading.get(key) === loading && this.#loading.delete(key);
  }

  /** One load for all who came while another was under way. */
  #loadAfter(loading: Promise<V>, key: string, load: () => Promise<V>): Promise<V> {
    const waiting = this.#next.get(key);
    if (waiting) return waiting;
    const next = loading.then(noop, noop).then(() => {
      this.#next.delete(key);
      return this.#load(key, load);
    });
    this.#next.set(key, next);
    return next;
  }

  #keep(key: string, value: V): void {
    this.#entries.delete(key);
    if (this.#entries.size >= this.#init.max) this.#makeRoom();
    this.#entries.set(key, { value, until: performance.now() + this.#init.ttlMs, used: false });
  }

  /** Second chance: nearly least-recently-used, without moving an entry at each read (200 of 400 ns). */
  #makeRoom(): void {
    for (const [key, entry] of this.#entries) {
      this.#entries.delete(key);
      if (!entry.used) return;
      entry.used = false;
      this.#entries.set(key, entry);
    }
  }

  #forget(payload: string): void {
    this.counts.invalidations += 1;
    if (payload === EVERYTHING) {
      this.#entries.clear();
      this.#loading.clear();
      return;
    }
    for (const key of JSON.parse(payload) as string[]) {
      this.#entries.delete(key);
      this.#loading.delete(key);
    }
  }
}

/** Begins at once; what is thrown at once is a rejection too. */
async function begin<V>(load: () => Promise<V>): Promise<V> {
  return load();
}

function noop(): void {}
