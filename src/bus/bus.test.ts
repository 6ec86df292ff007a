/** Several buses on one database stand for several processes: they share nothing but the database. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import t from 'tap';
import { emptyDatabase } from '../testing/database.ts';
import { type Bus, createBus } from './bus.ts';
import { Line } from './line.testing.ts';
import { TRUST_MS } from './trust.ts';

const database = await emptyDatabase();
const admin = new pg.Client({ connectionString: database.adminUrl });
await admin.connect();
t.teardown(async () => {
  await admin.end();
  await database.drop();
});

/** A bus that remembers what its topic `news` said. */
async function process(test: Pick<typeof t, 'teardown'>, { url = database.adminUrl, alone = false } = {}): Promise<{ bus: Bus; heard: string[] }> {
  const bus = await createBus({ connectionString: url, name: 'test', alone });
  const heard: string[] = [];
  bus.subscribe('news', (payload) => heard.push(payload));
  bus.onLive(() => heard.push('anything'));
  test.teardown(() => bus.close());
  return { bus, heard };
}

async function line(test: Pick<typeof t, 'teardown'>): Promise<Line> {
  const opened = await Line.open(database.adminUrl);
  test.teardown(() => opened.close());
  return opened;
}

async function until(what: string, happens: () => boolean): Promise<void> {
  const end = performance.now() + 5_000;
  while (!happens()) {
    if (performance.now() > end) throw new Error(`did not happen within 5 s: ${what}`);
    await sleep(2);
  }
}

/** Drops the newest connection of the bus on the server, as an administrator or a crash would. */
async function dropNewest(): Promise<void> {
  await admin.query(`select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name = 'cleave-bus' order by backend_start desc limit 1`);
}

/** In ms. A machine that is busy may take long once. */
async function quickestOf(times: number, work: () => Promise<unknown>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let n = 0; n < times; n += 1) {
    const started = performance.now();
    await work();
    least = Math.min(least, performance.now() - started);
  }
  return least;
}

t.test('a hint reaches every process, equal ones only once', async (t) => {
  const [a, b] = [await process(t, { alone: true }), await process(t)];
  for (let i = 0; i < 10; i += 1) a.bus.publish('news', 'same');
  a.bus.publish('news', 'other');
  await until('the last hint arrives', () => b.heard.includes('other'));
  t.same(b.heard, ['same', 'other']);
  t.same(a.heard, ['same', 'other']);
});

t.test('a confirmation resolves when every process has run its handlers', async (t) => {
  const processes = [await process(t, { alone: true }), await process(t), await process(t)];
  await processes[0]!.bus.confirm('news', 'extra');
  for (const { heard } of processes) t.same(heard, ['extra']);
});

t.test('processes that know each other confirm within milliseconds', async (t) => {
  const [a] = [await process(t, { alone: true }), await process(t)];
  await a.bus.confirm('news', 'first');
  t.ok((await quickestOf(3, async () => a.bus.confirm('news', 'second'))) < TRUST_MS / 2, 'nobody waits for a time to be over');
});

t.test('what is too long for one notification arrives whole', async (t) => {
  const [a, b] = [await process(t, { alone: true }), await process(t)];
  const long = 'wörter \0 ☃ \ud800 '.repeat(3_000);
  // Parts that are equal to each other, too: PostgreSQL would tell of such a one once.
  const even = 'x'.repeat(40_000);
  for (const news of [long, even]) await a.bus.confirm('news', news);
  t.same(b.heard, [long, even]);
});

t.test('confirmations that cross each other all resolve', async (t) => {
  const processes = [await process(t), await process(t), await process(t)];
  const words = Array.from({ length: 60 }, (_, index) => String(index));
  await Promise.all(words.map(async (word, index) => processes[index % 3]!.bus.confirm('news', word)));
  for (const { heard } of processes) t.same([...heard].sort(), [...words].sort());
});

t.test('what others say on the channel is ignored when it is not of our kind', async (t) => {
  const [a, b] = [await process(t, { alone: true }), await process(t)];
  const noises = ['', 'null', '{"kind":"said"}', '{"kind":"done","from":"x","confirm":"1"}', '[[['];
  for (const noise of noises) await admin.query('select pg_notify($1, $2)', ['cleave_bus', noise]);
  await a.bus.confirm('news', 'sense');
  t.same(b.heard, ['sense']);
});

t.test('a process that says good-bye is not waited for', async (t) => {
  const [a, b] = [await process(t, { alone: true }), await process(t)];
  await a.bus.confirm('news', 'both');
  await b.bus.close();
  t.ok((await quickestOf(3, async () => a.bus.confirm('news', 'one'))) < TRUST_MS / 2);
  t.notOk(b.bus.live);
});

t.test('a process that hears nothing any more is not live by the time a confirmation resolves without it', async (t) => {
  const wire = await line(t);
  const [a, b] = [await process(t, { alone: true }), await process(t, { url: wire.url })];
  await a.bus.confirm('news', 'before');
  wire.freeze();
  await a.bus.confirm('news', 'meanwhile');
  t.notOk(b.bus.live, 'it does not trust itself');
  t.same(b.heard, ['before']);
  wire.thaw();
  await until('it is live again', () => b.bus.live);
  t.same(b.heard, ['before', 'meanwhile'], 'and has heard what was said before it is live');
});

t.test('a process whose connection was dropped unknown to it is waited for until it does not trust itself', async (t) => {
  const wire = await line(t);
  const [a, b] = [await process(t, { alone: true }), await process(t, { url: wire.url })];
  await a.bus.confirm('news', 'before');
  wire.freeze();
  await dropNewest();
  t.ok(b.bus.live, 'it does not know yet');
  await a.bus.confirm('news', 'meanwhile');
  t.notOk(b.bus.live);
  wire.thaw();
  await until('it is live again', () => b.bus.live);
  t.same(b.heard, ['before', 'anything'], 'it knows that it has missed something before it is live');
});

t.test('a writer that has just come waits for those it cannot know of', async (t) => {
  const wire = await line(t);
  const b = await process(t, { url: wire.url, alone: true });
  wire.freeze();
  await dropNewest();
  const a = await process(t);
  t.ok(b.bus.live);
  await a.bus.confirm('news', 'first words');
  t.notOk(b.bus.live);
});

t.test('a confirmation survives the loss of the writer\'s own connection', async (t) => {
  const wire = await line(t);
  const [b, a] = [await process(t), await process(t, { url: wire.url })];
  wire.freeze();
  const confirmed = a.bus.confirm('news', 'kept');
  await dropNewest();
  wire.thaw();
  await confirmed;
  t.ok(b.heard.includes('kept'));
  t.ok(a.bus.live);
});

t.test('closing tells those who wait that they wait in vain', async (t) => {
  const wire = await line(t);
  const a = await process(t, { url: wire.url });
  wire.freeze();
  const confirmed = a.bus.confirm('news', 'never');
  await Promise.all([t.rejects(confirmed, { code: 'UNAVAILABLE' }), a.bus.close()]);
  await t.rejects(a.bus.confirm('news', 'too late'), { code: 'UNAVAILABLE' });
});

t.test('a handler that throws keeps neither the others nor the confirmation from their work', async (t) => {
  const [a, b] = [await process(t, { alone: true }), await process(t)];
  b.bus.subscribe('news', () => {
    throw new Error('broken');
  });
  const after: string[] = [];
  b.bus.subscribe('news', (payload) => after.push(payload));
  await a.bus.confirm('news', 'still');
  t.same(after, ['still']);
});

t.test('an unreachable database is said at once', async (t) => {
  const wire = await line(t);
  const { url } = wire;
  await wire.close();
  await t.rejects(createBus({ connectionString: url, name: 'test' }), { code: 'ECONNREFUSED' });
});
