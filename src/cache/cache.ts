/** Read caches that hold frozen values, share one load among concurrent readers, and forget exactly. */

export interface ReadCache<V> {
  /**
   * The cached value, or the one that `load` returns (undefined is not kept). Concurrent readers of a missing
   * key share one load. A load that began before an invalidation never fills the cache after it.
   */
  get(key: string, load: () => Promise<V>): Promise<V>;
  /** The cached value if it is here and may be trusted now; for the hot path, without a promise. */
  peek(key: string): V | undefined;
  /**
   * Forgets keys (all of them without an argument) in every process of the deployment; resolves once each
   * process that may serve from this cache has confirmed. Await it after the commit, before the answer.
   */
  invalidate(keys?: readonly string[]): Promise<void>;
}

export interface CacheOptions {
  /** Entries kept; the least recently used go first. */
  readonly max: number;
  /** Milliseconds an entry may be served at the most. */
  readonly ttlMs: number;
}

/** Makes named caches; a name is unique within the module. */
export interface CacheFactory {
  create<V>(name: string, options: CacheOptions): ReadCache<V>;
}
