/** Two or more buses on one database stand for so many processes; the value that is cached lives in a table. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { Registry } from 'prom-client';
import t from 'tap';
import { createBus } from '../bus/bus.ts';
import { Line } from '../bus/line.testing.ts';
import { CallError } from '../contract/errors.ts';
import { emptyDatabase } from '../testing/database.ts';
import type { CacheOptions, ReadCache } from './cache.ts';
import { createCacheFactory } from './factory.ts';

const database = await emptyDatabase();
const pool = new pg.Pool({ connectionString: database.adminUrl, max: 4 });
// A pool has ended before its connections have: the database that is dropped next may end one of them first.
pool.on('error', () => undefined);
await pool.query('create table fact (key text primary key, version int not null)');
t.teardown(async () => {
  await pool.end();
  await database.drop();
});

interface Process {
  readonly cache: ReadCache<number>;
  readonly isLive: () => boolean;
}

interface ProcessOptions extends Partial<CacheOptions> {
  readonly url?: string;
  readonly alone?: boolean;
}

async function process(
  test: Pick<typeof t, 'teardown'>,
  { url = database.adminUrl, alone = false, max = 100, ttlMs = 60_000 }: ProcessOptions = {},
): Promise<Process> {
  const bus = await createBus({ connectionString: url, name: 'test', alone });
  test.teardown(() => bus.close());
  return { cache: createCacheFactory(bus, 'facts').create<number>('versions', { max, ttlMs }), isLive: () => bus.live };
}

async function write(key: string): Promise<number> {
  const { rows } = await pool.query('insert into fact values ($1, 1) on conflict (key) do update set version = fact.version + 1 returning version', [key]);
  return rows[0].version;
}

async function read(key: string): Promise<number> {
  const { rows } = await pool.query('select version from fact where key = $1', [key]);
  return rows[0].version;
}

/** A load that begins now and ends when the test says so. */
function slowLoad<V>(value: V): { load: () => Promise<V>; finish(): void; begun: () => number } {
  const { promise, resolve } = Promise.withResolvers<void>();
  let begun = 0;
  const load = async () => {
    begun += 1;
    await promise;
    return value;
  };
  return { load, finish: resolve, begun: () => begun };
}

/** Where connections are lost again and again, the time of one change may run out; nothing is promised of that one. */
async function isAcknowledged(change: Promise<void>): Promise<boolean> {
  return change.then(
    () => true,
    (error: unknown) => {
      if (error instanceof CallError && error.code === 'DEADLINE_EXCEEDED') return false;
      throw error;
    },
  );
}

async function dropBusConnections(): Promise<void> {
  await pool.query(`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'cleave-bus'`);
}

async function until(what: string, happens: () => boolean, withinMs = 5_000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!happens()) {
    if (performance.now() > end) throw new Error(`did not happen within ${withinMs} ms: ${what}`);
    await sleep(2);
  }
}

t.test('a hundred readers of a missing key share one load', async (t) => {
  const { cache } = await process(t, { alone: true });
  const slow = slowLoad(7);
  const reads = Array.from({ length: 100 }, async () => cache.get('k', slow.load));
  slow.finish();
  t.same(new Set(await Promise.all(reads)), new Set([7]));
  t.equal(slow.begun(), 1);
  t.equal(cache.peek('k'), 7);
});

t.test('what is cached is frozen all the way down', async (t) => {
  const bus = await createBus({ connectionString: database.adminUrl, name: 'test', alone: true });
  t.teardown(() => bus.close());
  const cache = createCacheFactory(bus, 'facts').create<{ tags: { name: string }[] }>('things', { max: 1, ttlMs: 1_000 });
  const value = await cache.get('k', async () => ({ tags: [{ name: 'a' }] }));
  t.throws(() => void (value.tags[0]!.name = 'b'), TypeError);
  t.throws(() => value.tags.push({ name: 'b' }), TypeError);
});

t.test('nothing is kept of a load that found nothing or failed', async (t) => {
  const { cache } = await process(t, { alone: true });
  t.equal(await cache.get('k', async () => undefined as never), undefined);
  await t.rejects(cache.get('k', async () => Promise.reject(new Error('away'))), { message: 'away' });
  await t.rejects(cache.get('k', () => { throw new Error('away at once'); }), { message: 'away at once' });
  t.equal(await cache.get('k', async () => 3), 3);
});

t.test('the least recently used entry goes first, and every entry in the end', async (t) => {
  const { cache } = await process(t, { alone: true, max: 2, ttlMs: 30 });
  await cache.get('a', async () => 1);
  await cache.get('b', async () => 2);
  cache.peek('a');
  await cache.get('c', async () => 3);
  t.equal(cache.peek('a'), 1);
  t.equal(cache.peek('b'), undefined);
  await until('the time to live is over', () => cache.peek('a') === undefined);
});

t.test('a change is seen by every process once the invalidation has resolved', async (t) => {
  const [a, b] = [await process(t, { alone: true }), await process(t)];
  await write('k');
  for (const { cache } of [a, b]) await cache.get('k', async () => read('k'));
  const version = await write('k');
  await a.cache.invalidate(['k']);
  for (const { cache } of [a, b]) {
    t.equal(cache.peek('k'), undefined);
    t.equal(await cache.get('k', async () => read('k')), version);
  }
});

t.test('other keys stay; without keys everything goes', async (t) => {
  const [a, b] = [await process(t, { alone: true }), await process(t)];
  for (const key of ['k', 'l', 'm']) await b.cache.get(key, async () => 1);
  await a.cache.invalidate([]);
  await a.cache.invalidate(['k']);
  t.same(['k', 'l', 'm'].map((key) => b.cache.peek(key)), [undefined, 1, 1]);
  await a.cache.invalidate();
  t.same(['k', 'l', 'm'].map((key) => b.cache.peek(key)), [undefined, undefined, undefined]);
});

t.test('a load that began before an invalidation fills nothing and is joined by nobody after it', async (t) => {
  const [a, b] = [await process(t, { alone: true }), await process(t)];
  for (const other of [a, b]) {
    const old = slowLoad(1);
    const early = other.cache.get('k', old.load);
    await a.cache.invalidate(['k']);
    t.equal(await other.cache.get('k', async () => 2), 2, 'a later reader loads anew');
    old.finish();
    t.equal(await early, 1, 'the early reader gets what it asked for');
    t.equal(other.cache.peek('k'), 2);
  }
});

t.test('a process that lost its connection serves nothing from the cache until it is back, and then begins empty', async (t) => {
  const wire = await Line.open(database.adminUrl);
  t.teardown(() => wire.close());
  const a = await process(t, { url: wire.url, alone: true });
  await a.cache.get('k', async () => 1);
  wire.freeze();
  await dropBusConnections();
  await until('it does not trust itself', () => !a.isLive());
  t.equal(a.cache.peek('k'), undefined);
  t.equal(await a.cache.get('k', async () => 2), 2);
  wire.thaw();
  await until('it is live again', a.isLive);
  t.equal(a.cache.peek('k'), undefined, 'what was loaded meanwhile is forgotten too');
});

t.test('while not live, readers share only a load that begins after they asked', async (t) => {
  const wire = await Line.open(database.adminUrl);
  t.teardown(() => wire.close());
  const a = await process(t, { url: wire.url, alone: true });
  wire.freeze();
  await until('it does not trust itself', () => !a.isLive());
  const [first, second] = [slowLoad(1), slowLoad(2)];
  const early = a.cache.get('k', first.load);
  const later = Array.from({ length: 100 }, async () => a.cache.get('k', second.load));
  t.equal(second.begun(), 0);
  first.finish();
  second.finish();
  t.equal(await early, 1);
  t.same(new Set(await Promise.all(later)), new Set([2]));
  t.equal(second.begun(), 1);
});

t.test('no read is older than the last change that was acknowledged before it began, whatever happens to the connections', async (t) => {
  const wires = await Promise.all([0, 1, 2].map(async () => Line.open(database.adminUrl)));
  t.teardown(() => Promise.all(wires.map(async (wire) => wire.close())));
  const processes = await Promise.all(wires.map(async (wire) => process(t, { url: wire.url })));
  const keys = ['x', 'y'];
  const acknowledged = new Map<string, number>();
  for (const key of keys) acknowledged.set(key, await write(key));
  let over = false;
  let [reads, hits, writes] = [0, 0, 0];
  const stale: string[] = [];

  const reader = async ({ cache }: Process, key: string) => {
    while (!over) {
      const atLeast = acknowledged.get(key)!;
      const cached = cache.peek(key);
      const version = cached ?? (await cache.get(key, async () => read(key)));
      reads += 1;
      if (cached !== undefined) hits += 1;
      if (version < atLeast) stale.push(`${key}: ${version} < ${atLeast}${cached === undefined ? '' : ' cached'}`);
      await new Promise(setImmediate);
    }
  };
  const writer = async ({ cache }: Process, key: string) => {
    while (!over) {
      const version = await write(key);
      if (await isAcknowledged(cache.invalidate([key]))) {
        writes += 1;
        acknowledged.set(key, Math.max(acknowledged.get(key)!, version));
      }
      await sleep(Math.random() * 40);
    }
  };
  const mischief = async () => {
    while (!over) {
      const wire = wires[Math.floor(Math.random() * 3)]!;
      if (Math.random() < 0.5) wire.freeze();
      if (Math.random() < 0.3) await dropBusConnections();
      await sleep(Math.random() * 500);
      wire.thaw();
      await sleep(Math.random() * 500);
    }
  };

  const [first, second, third] = processes as [Process, Process, Process];
  const readers = processes.flatMap((each) => keys.map((key) => reader(each, key)));
  const work = [...readers, writer(first, 'x'), writer(second, 'y'), writer(third, 'y'), mischief()];
  await until('forty changes are acknowledged', () => writes >= 40, 30_000);
  over = true;
  for (const wire of wires) wire.thaw();
  await Promise.all(work);
  t.same(stale, []);
  t.comment(`${reads} reads, ${hits} of them from a cache, ${writes} writes`);
  t.ok(hits > 100, 'caches were used');
});

t.test('metrics show what caches do', async (t) => {
  const bus = await createBus({ connectionString: database.adminUrl, name: 'test', alone: true });
  t.teardown(() => bus.close());
  const registry = new Registry();
  const cache = createCacheFactory(bus, 'facts', registry).create<number>('counted', { max: 10, ttlMs: 1_000 });
  await Promise.all([cache.get('k', async () => 1), cache.get('k', async () => 1)]);
  await cache.get('k', async () => 1);
  await cache.invalidate(['l']);
  const text = await registry.metrics();
  for (const [event, count] of Object.entries({ hits: 1, loads: 1, shared: 1, invalidations: 1 })) {
    t.match(text, `cleave_cache_events_total{module="facts",cache="counted",event="${event}"} ${count}`);
  }
  t.match(text, 'cleave_cache_entries{module="facts",cache="counted"} 1');
});

t.test('a factory refuses a name that is taken and sizes that make no sense', async (t) => {
  const bus = await createBus({ connectionString: database.adminUrl, name: 'test', alone: true });
  t.teardown(() => bus.close());
  const caches = createCacheFactory(bus, 'facts');
  caches.create('once', { max: 1, ttlMs: 1 });
  t.throws(() => caches.create('once', { max: 1, ttlMs: 1 }), /facts has a cache named once already/);
  t.throws(() => caches.create('none', { max: 0, ttlMs: 1 }), RangeError);
  t.throws(() => caches.create('never', { max: 1, ttlMs: Number.NaN }), RangeError);
});
