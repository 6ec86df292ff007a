/** Hands each module caches of its own, all over the bus of the process. */
import type { Registry } from 'prom-client';
import type { Bus } from '../bus/bus.ts';
import type { CacheFactory, CacheOptions, ReadCache } from './cache.ts';
import { watchCache } from './counts.ts';
import { SharedCache } from './shared-cache.ts';

/**
 * @param metrics the process's registry, where what the caches do is to be seen
 * @throws RangeError from `create` when a module uses a name twice or asks for an impossible size
 */
export function createCacheFactory(bus: Bus, module: string, metrics?: Registry): CacheFactory {
  const names = new Set<string>();
  return {
    create<V>(name: string, options: CacheOptions): ReadCache<V> {
      if (names.has(name)) throw new RangeError(`${module} has a cache named ${name} already: give each a name of its own`);
      if (!(options.max >= 1 && options.ttlMs > 0)) {
        throw new RangeError(`the cache ${module}.${name} needs max and ttlMs above 0, not ${options.max} and ${options.ttlMs}`);
      }
      names.add(name);
      const cache = new SharedCache<V>({ bus, topic: `cache:${module}.${name}`, ...options });
      if (metrics) watchCache(metrics, { module, name, counts: cache.counts, get size() { return cache.size; } });
      return cache;
    },
  };
}
