/** Replays by force: what is new to a subscriber is handled once and in order, whatever else comes, fails or dies meanwhile. */
import { join } from 'node:path';
import t from 'tap';
import { type TestScope, type TestShop, testShop } from '../testing/testing.ts';
import { type Behaviour, ping, pingPong } from '../testing/fixtures/ping-pong.ts';
import { uuidv7 } from '../uuid.ts';
import { findReplay, requestReplay } from './replay.ts';

const migrations = join(import.meta.dirname, '..', 'testing', 'fixtures', 'migrations');
const settings = { EVENT_RETRY_BASE_MS: '5', EVENT_RETRY_MAX_MS: '20', EVENT_MAX_ATTEMPTS: '4', EVENT_POLL_MS: '200' };
const LATE = 'pong.late';
/** The last of them came late, too, and nobody asks for a replay to it. */
const SUBSCRIBERS = ['first', 'late', 'later'];
const BEGINNING = '2020-01-01T00:00:00.000Z';

/** A shop to which the subscribers `late` and `later` come when `count` events of each aggregate have been published and handled. */
async function joinedLate(scope: TestScope, ids: readonly string[], count: number, behaviour?: Behaviour, change: Record<string, string> = {}): Promise<TestShop> {
  const early = await testShop(scope, { modules: pingPong(undefined, ['first']), migrations, settings });
  for (let n = 0; n < count; n += 1) for (const id of ids) await hit(early, id);
  await untilDone(early);
  await early.stop();
  return testShop(scope, { modules: pingPong(behaviour, SUBSCRIBERS), migrations, settings: { ...settings, ...change }, database: early.database });
}

async function hit(shop: TestShop, id: string): Promise<void> {
  await shop.client(ping).hit({ id }, shop.call(60_000));
}

async function untilDone(shop: TestShop): Promise<void> {
  await shop.until(async () => (await shop.sql<{ n: number }>('ping_outbox', `select count(*) as n from job where state < 'active'`))[0]!.n === 0, 'the outbox to be empty');
}

async function seen(shop: TestShop, id: string, subscriber = 'late'): Promise<number[]> {
  const rows = await shop.sql<{ n: number }>('pong', 'select n from seen where aggregate_id = $1 and subscriber = $2 order by at', [id, subscriber]);
  return rows.map((row) => row.n);
}

async function replay(shop: TestShop, from = BEGINNING): Promise<string> {
  return (await requestReplay(shop.module('ping').db, 'ping_outbox', { subscriber: LATE, type: ping.events.hit.type, from })).id;
}

async function untilFinished(shop: TestShop, id: string): Promise<number> {
  const { replayed } = await shop.until(async () => {
    const found = await findReplay(shop.module('ping').db, 'ping_outbox', id);
    return found?.status === 'finished' && found;
  }, 'the replay to be finished');
  return replayed;
}

const upTo = (n: number): number[] => Array.from({ length: n }, (_, index) => index + 1);

t.test('a subscriber that came late gets the past in order, and once', async (t) => {
  const ids = [uuidv7(), uuidv7(), uuidv7()];
  const shop = await joinedLate(t, ids, 60);
  t.same(await seen(shop, ids[0]!), []);
  t.equal(await untilFinished(shop, await replay(shop)), 180, 'more than one chunk');
  for (const id of ids) t.same(await seen(shop, id), upTo(60));
  t.equal(await untilFinished(shop, await replay(shop)), 180, 'all of it is handed over again');
  for (const id of ids) t.same(await seen(shop, id), upTo(60), 'and nothing of it is new');
  for (const id of ids) t.same([(await seen(shop, id, 'first')).length, await seen(shop, id, 'later')], [60, []], 'it goes to the subscriber that it was asked for, and to no other');
  t.equal(await untilFinished(shop, await replay(shop, new Date().toISOString())), 0, 'nothing happened since now');
});

t.test('no event that comes meanwhile overtakes one that is being replayed', async (t) => {
  const id = uuidv7();
  const held = Promise.withResolvers<void>();
  const entered = Promise.withResolvers<void>();
  const shop = await joinedLate(t, [id], 20, async (subscriber, event) => {
    if (subscriber !== 'late' || event.data.n !== 1) return;
    entered.resolve();
    await held.promise;
  });
  const asked = replay(shop);
  await entered.promise;
  for (let n = 0; n < 10; n += 1) await hit(shop, id);
  await shop.until(async () => (await seen(shop, id, 'first')).length === 30, 'the other subscriber to go on');
  t.same(await seen(shop, id), []);
  held.resolve();
  await untilFinished(shop, await asked);
  await shop.until(async () => (await seen(shop, id)).length === 30, 'all events');
  t.same(await seen(shop, id), upTo(30));
});

t.test('a replayed event that fails goes before those that wait in its lane, and leaves none behind', async (t) => {
  const id = uuidv7();
  let isSick = true;
  const shop = await joinedLate(t, [id], 3, (subscriber) => {
    if (subscriber === 'late' && isSick) throw new Error('not now');
  }, { EVENT_RETRY_BASE_MS: '60000', EVENT_RETRY_MAX_MS: '60000' });
  const parked = async () => shop.sql<{ n: number; head: boolean; attempts: number }>('ping_outbox', `select (envelope->'data'->>'n')::int as n, next_at is not null as head, attempts from event_delivery order by event_id`);
  await hit(shop, id);
  await shop.until(async () => (await parked()).length === 1, 'the new event to be parked');
  await untilFinished(shop, await replay(shop));
  t.match(await parked(), [{ n: 1, head: true }, { n: 2 }, { n: 3 }, { n: 4 }], 'the oldest has a time to be tried at');
  await shop.until(async () => (await parked())[0]!.attempts > 0, 'the try that finds it sick to be over');
  isSick = false;
  await shop.sql('ping_outbox', 'update event_delivery set next_at = now() where next_at is not null');
  await shop.until(async () => (await parked()).length === 0, 'the lane to be empty');
  t.same(await seen(shop, id), upTo(4));
});

t.test('a replay that is cut off goes on where it was, in another process', async (t) => {
  const ids = upTo(4).map(() => uuidv7());
  const entered = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  let first = true;
  const shop = await joinedLate(t, ids, 60, async (subscriber) => {
    if (subscriber !== 'late' || !first) return;
    first = false;
    entered.resolve();
    await held.promise;
  });
  const other = await testShop(t, { modules: pingPong(undefined, SUBSCRIBERS), migrations, settings, database: shop.database });
  const id = await replay(other);
  await entered.promise;
  const stopped = shop.stop();
  held.resolve();
  await stopped;
  t.equal(await untilFinished(other, id), 240);
  for (const each of ids) t.same(await seen(other, each), upTo(60));
});
