/** What caches do, for `/metrics`. Plain numbers on the hot path; Prometheus asks for them when it wants them. */
import { Counter, Gauge, type Registry } from 'prom-client';

export interface CacheCounts {
  hits: number;
  /** Reads that started a load. */
  loads: number;
  /** Reads that shared another reader's load. */
  shared: number;
  /** Invalidations by this process or another one. */
  invalidations: number;
}

export interface WatchedCache {
  readonly module: string;
  readonly name: string;
  readonly counts: CacheCounts;
  readonly size: number;
}

const watched = new WeakMap<Registry, WatchedCache[]>();

/** Shows a cache in the registry as `cleave_cache_events_total` and `cleave_cache_entries`. */
export function watchCache(registry: Registry, cache: WatchedCache): void {
  const caches = watched.get(registry) ?? register(registry);
  caches.push(cache);
}

function register(registry: Registry): WatchedCache[] {
  const caches: WatchedCache[] = [];
  watched.set(registry, caches);
  const registers = [registry];
  new Counter({
    name: 'cleave_cache_events_total',
    help: 'What caches did: hits, loads (misses), shared (waited for another reader\'s load), invalidations.',
    labelNames: ['module', 'cache', 'event'],
    registers,
    collect() {
      this.reset();
      for (const { module, name, counts } of caches) {
        for (const [event, count] of Object.entries(counts)) this.inc({ module, cache: name, event }, count);
      }
    },
  });
  new Gauge({
    name: 'cleave_cache_entries',
    help: 'Entries that a cache holds.',
    labelNames: ['module', 'cache'],
    registers,
    collect() {
      for (const { module, name, size } of caches) this.set({ module, cache: name }, size);
    },
  });
  return caches;
}
