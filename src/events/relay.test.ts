/** Invariant I5 by force: order and progress whatever fails, hangs, is stopped, lost or replaced on the way. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { EventEnvelope } from '../contract/types.ts';
import { type TestShop, testShop } from '../testing/testing.ts';
import { type Hit, ping, pingPong } from '../testing/fixtures/ping-pong.ts';
import { uuidv7 } from '../uuid.ts';
import { redrive } from './dead-letters.ts';
import { Lanes } from './lanes.ts';
import { Parking } from './parking.ts';
import { Relay } from './relay.ts';

const migrations = join(import.meta.dirname, '..', 'testing', 'fixtures', 'migrations');
const settings = { EVENT_RETRY_BASE_MS: '5', EVENT_RETRY_MAX_MS: '20', EVENT_MAX_ATTEMPTS: '4', EVENT_HANDLER_TIMEOUT_MS: '300', EVENT_POLL_MS: '200' };

interface Seen {
  n: number;
}

let behaviour: (subscriber: string, event: Hit) => Promise<void> | void = () => undefined;
const shop = await testShop(t, { modules: pingPong((subscriber, event) => behaviour(subscriber, event)), migrations, settings });

async function seen(id: string, subscriber: string, on: TestShop): Promise<Seen[]> {
  return on.sql<Seen>('pong', 'select n from seen where aggregate_id = $1 and subscriber = $2 order by at', [id, subscriber]);
}

async function hit(id: string, on: TestShop) {
  return on.client(ping).hit({ id }, on.call(60_000));
}

t.afterEach(() => {
  behaviour = () => undefined;
});

/** A shop in which nothing is retried before the test says so. */
const patient = await testShop(t, {
  modules: pingPong((subscriber, event) => behaviour(subscriber, event)),
  migrations,
  settings: { ...settings, EVENT_RETRY_BASE_MS: '60000', EVENT_RETRY_MAX_MS: '60000', EVENT_MAX_ATTEMPTS: '2', EVENT_HANDLER_TIMEOUT_MS: '60000' },
});

async function retryNow(id: string): Promise<void> {
  await patient.sql('ping_outbox', `update event_delivery set next_at = now() where aggregate_id = $1 and state = 'waiting' and next_at is not null`, [id]);
}

async function parked(id: string): Promise<{ n: number; state: string }[]> {
  return patient.sql('ping_outbox', `select (envelope->'data'->>'n')::int as n, state from event_delivery where aggregate_id = $1 order by event_id`, [id]);
}

async function untilParked(id: string, expected: string): Promise<void> {
  await patient.until(async () => (await parked(id)).map(({ n, state }) => `${n} ${state}`).join() === expected, `"${expected}" to be parked`);
}

async function untilSeen(id: string, subscriber: string, expected: number[], on: TestShop): Promise<void> {
  const numbers = async () => (await seen(id, subscriber, on)).map((row) => row.n).join();
  await on.until(async () => (await numbers()) === expected.join(), `${subscriber} to see ${expected.join()}`).catch(async (error: Error) => {
    throw new Error(`${error.message}; seen: ${await numbers()}`);
  });
}

function failing(id: string, numbers: Set<number>): void {
  behaviour = (subscriber, event) => {
    if (subscriber === 'first' && event.aggregateId === id && numbers.has(event.data.n)) throw new Error('not now');
  };
}

t.test('stopping a relay while an event fails does not let the next one of its aggregate pass', async (t) => {
  const id = uuidv7();
  const { relay, outbox } = shop.module('ping');
  const [entered, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let failures = 1;
  behaviour = async (subscriber, event) => {
    if (subscriber !== 'first' || event.aggregateId !== id || failures === 0) return;
    failures -= 1;
    entered.resolve();
    await release.promise;
    throw new Error('not now');
  };
  await hit(id, shop);
  await entered.promise;
  await hit(id, shop);
  await untilSeen(id, 'second', [1, 2], shop);
  // With both connections taken the relay's look hangs, and so does the stop that waits for it.
  const connections = await Promise.all([outbox.pool.connect(), outbox.pool.connect()]);
  relay.wake();
  const stopped = relay.stop();
  release.resolve();
  await shop.until(() => shop.module('pong').gate.inFlight === 0, 'the handler to fail');
  for (const connection of connections) connection.release();
  await stopped;
  await relay.start();
  await untilSeen(id, 'first', [1, 2], shop);
  t.pass();
});

t.test('a dead letter that is redriven does not open the lane of events that still wait', async (t) => {
  const id = uuidv7();
  const sick = new Set([1, 2]);
  failing(id, sick);
  await hit(id, patient);
  await untilParked(id, '1 waiting');
  await retryNow(id);
  await untilParked(id, '1 dead');
  await hit(id, patient);
  await untilParked(id, '1 dead,2 waiting');
  sick.delete(1);
  await redrive(patient.host.module('ping').db, 'ping_outbox');
  await untilSeen(id, 'first', [1], patient);
  await hit(id, patient);
  await untilSeen(id, 'second', [1, 2, 3], patient);
  await untilParked(id, '2 waiting,3 waiting');
  sick.delete(2);
  await retryNow(id);
  await untilSeen(id, 'first', [1, 2, 3], patient);
  // An effect commits a moment before it is recorded that nothing waits for it any more.
  await untilParked(id, '');
  t.pass();
});

t.test('dead letters of one aggregate that are redriven together keep their order', async (t) => {
  const id = uuidv7();
  const sick = new Set([1, 2]);
  failing(id, sick);
  for (const dead of ['1 dead', '1 dead,2 dead']) {
    await hit(id, patient);
    await patient.until(async () => (await parked(id)).some(({ state }) => state === 'waiting'), 'the event to be parked');
    await retryNow(id);
    await untilParked(id, dead);
  }
  behaviour = async (subscriber, event) => {
    if (subscriber === 'first' && event.aggregateId === id && event.data.n === 1) await sleep(50);
  };
  t.equal((await redrive(patient.host.module('ping').db, 'ping_outbox')).length, 2);
  await untilSeen(id, 'first', [1, 2], patient);
});

t.test('an event whose parking was recorded but not confirmed still holds back the next ones', async (t) => {
  const id = uuidv7();
  behaviour = async (subscriber, event) => {
    if (subscriber !== 'first' || event.aggregateId !== id || event.data.n !== 1) return;
    // What a try leaves behind whose connection was lost between its commit and the answer.
    await patient.sql('ping_outbox', `insert into event_delivery (subscriber, event_id, aggregate_id, envelope, state, attempts, next_at) values ('pong.first', $1, $2, $3, 'waiting', 1, now() + interval '1 hour') on conflict do nothing`, [event.id, id, JSON.stringify(event)]);
    throw new Error('not now');
  };
  await hit(id, patient);
  await untilParked(id, '1 waiting');
  await patient.until(async () => (await patient.sql('ping_outbox', `select 1 from job where data->>'aggregateId' = $1 and state = 'completed'`, [id])).length === 1, 'the first to be settled');
  await hit(id, patient);
  await untilParked(id, '1 waiting,2 waiting');
  behaviour = () => undefined;
  await retryNow(id);
  await untilSeen(id, 'first', [1, 2], patient);
  t.pass();
});

t.test('a retry whose record fails half way does not leave its followers behind', async (t) => {
  const id = uuidv7();
  const sick = new Set([1]);
  failing(id, sick);
  await hit(id, patient);
  await untilParked(id, '1 waiting');
  await hit(id, patient);
  await untilParked(id, '1 waiting,2 waiting');
  await patient.sql('ping_outbox', 'create sequence breakdown');
  await patient.sql('ping_outbox', 'grant usage on breakdown to public');
  await patient.sql('ping_outbox', `create function break_once() returns trigger language plpgsql as $$ begin if nextval('ping_outbox.breakdown') = 1 then raise 'the connection is lost'; end if; return new; end $$`);
  sick.clear();
  await retryNow(id);
  await patient.sql('ping_outbox', 'create trigger broken before update on event_delivery for each row execute function break_once()');
  await untilSeen(id, 'first', [1, 2], patient);
  await patient.sql('ping_outbox', 'drop function break_once() cascade');
  await patient.sql('ping_outbox', 'drop sequence breakdown');
  t.pass();
});

t.test('retries of a subscriber that hangs are few, and do not keep others from theirs', async (t) => {
  const ids = Array.from({ length: 40 }, () => uuidv7());
  const other = uuidv7();
  const released = Promise.withResolvers<void>();
  let sick = true;
  let hanging = 0;
  behaviour = async (subscriber, event) => {
    const mine = (subscriber === 'first' && ids.includes(event.aggregateId)) || (subscriber === 'second' && event.aggregateId === other);
    if (!mine) return;
    if (sick) throw new Error('not now');
    if (subscriber === 'second') return;
    hanging += 1;
    await released.promise;
  };
  for (const id of [...ids, other]) await hit(id, patient);
  await patient.until(async () => (await parked(other)).length === 1 && (await patient.sql('ping_outbox', `select 1 from event_delivery where aggregate_id = any($1)`, [ids])).length === 40, 'all to be parked');
  sick = false;
  for (const id of ids) await retryNow(id);
  await patient.until(() => hanging > 0, 'the first retry to hang');
  await retryNow(other);
  await untilSeen(other, 'second', [1], patient);
  t.ok(patient.host.module('pong').gate.inFlight <= 4, `${patient.host.module('pong').gate.inFlight} retries at a time`);
  released.resolve();
  await patient.until(async () => (await patient.sql('pong', `select 1 from seen where subscriber = 'first' and aggregate_id = any($1)`, [ids])).length === 40, 'all retries');
});

t.test('a subscriber that hangs does not keep events from the others, however many there are', async (t) => {
  const released = Promise.withResolvers<void>();
  behaviour = async (subscriber) => {
    if (subscriber === 'first') await released.promise;
  };
  const events = Array.from({ length: 2_200 }, () => {
    const id = uuidv7();
    return { id: uuidv7(), type: 'ping.hit.v1', aggregateId: id, occurredAt: new Date().toISOString(), data: { id, n: 1 }, traceparent: patient.call().traceparent, requestId: 'r' };
  });
  await patient.sql('ping_outbox', `insert into job (id, name, data) select id, 'events', data from unnest($1::uuid[], $2::jsonb[]) as e (id, data)`, [events.map(({ id }) => id), events.map((event) => JSON.stringify(event))]);
  const count = async (subscriber: string) => (await patient.sql<{ n: number }>('pong', 'select count(*) as n from seen where subscriber = $1 and event_id = any($2)', [subscriber, events.map(({ id }) => id)]))[0]!.n;
  await patient.until(async () => (await count('second')) === events.length, 'all events at the other subscriber', 20_000);
  t.equal(await count('first'), 0);
  released.resolve();
  const everythingNow = `update event_delivery set next_at = now() where state = 'waiting' and next_at > now()`;
  await patient.until(async () => (await patient.sql('ping_outbox', everythingNow)) && (await count('first')) === events.length, 'all events at the one that hung', 30_000);
});

t.test('a handler that never ends is given up: its transaction ends and the next try can do its work', async (t) => {
  const id = uuidv7();
  let hangs = 1;
  behaviour = async (subscriber, event) => {
    if (subscriber === 'first' && event.aggregateId === id && hangs-- > 0) await new Promise(() => undefined);
  };
  await hit(id, shop);
  await untilSeen(id, 'first', [1], shop);
  const { pool } = shop.module('pong').db;
  await shop.until(() => pool.totalCount === pool.idleCount, 'all connections to be back');
  t.pass();
});

t.test('a relay that was replaced by another owner neither parks nor passes on any more', async (t) => {
  const id = uuidv7();
  const [entered, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let first = true;
  behaviour = async (subscriber, event) => {
    if (subscriber !== 'first' || event.aggregateId !== id || !first) return;
    first = false;
    entered.resolve();
    await release.promise;
    throw new Error('not now');
  };
  await hit(id, patient);
  await entered.promise;
  const { relay, outbox } = patient.host.module('ping');
  const policy = { baseMs: 60_000, maxMs: 60_000, maxAttempts: 2 };
  const successor = new Relay({ outbox, parking: new Parking(outbox.pool, outbox.schema, policy), log: patient.host.module('ping').log, pollMs: 50, subscriptions: () => ['pong.first', 'pong.second'], deliver: async (subscriber, events) => patient.host.module('pong').intakes.get(subscriber)!.handle(events) });
  await successor.start();
  release.resolve();
  await hit(id, patient);
  await untilSeen(id, 'first', [1, 2], patient);
  await untilParked(id, '');
  await relay.stop();
  await successor.stop();
  await relay.start();
  await hit(id, patient);
  await untilSeen(id, 'first', [1, 2, 3], patient);
  t.pass();
});

t.test('what came while its aggregate was spilt is started, though nobody else is there to start it', async (t) => {
  const [hung, spilt] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const started: string[] = [];
  const lanes = new Lanes({ concurrency: 1, batchSize: 50, spill: async () => spilt.promise, async run(batch) {
      started.push(...batch.map((event) => event.id));
      await hung.promise;
    } });
  const offer = (id: string, aggregateId: string): void => lanes.offer({ id, aggregateId } as unknown as EventEnvelope);
  offer('1', 'a');
  lanes.pump();
  offer('2', 'b');
  lanes.spill();
  hung.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  offer('3', 'b');
  lanes.pump();
  t.same(started, ['1'], 'its aggregate is being spilt');
  spilt.resolve();
  await shop.until(() => started.length === 2, 'the event that came meanwhile');
  t.same(started, ['1', '3']);
});

t.test('a relay that has to stop does not wait for a subscriber that is away', async (t) => {
  const { outbox, log } = patient.host.module('ping');
  const parking = new Parking(outbox.pool, outbox.schema, { baseMs: 60_000, maxMs: 60_000, maxAttempts: 2 });
  const begun = Promise.withResolvers<void>();
  const relay = new Relay({ outbox, parking, log, pollMs: 60_000, subscriptions: () => [], async deliver(_subscriber, events, leaving) {
      begun.resolve();
      await new Promise<void>((resolve) => leaving.addEventListener('abort', () => resolve()));
      return events.map(() => ({ outcome: 'held' }));
    } });
  await patient.host.module('ping').relay.stop();
  await relay.start();
  const replay = relay.redeliver('pong.first', [{ id: uuidv7(), type: 'ping.hit.v1', aggregateId: uuidv7() } as unknown as EventEnvelope]);
  await begun.promise;
  await relay.stop();
  t.equal(await replay, false);
  t.same(await patient.sql('ping_outbox', `select 1 from event_delivery where subscriber = 'pong.first'`), [], 'it is left to the next owner');
  await patient.host.module('ping').relay.start();
});

t.test('an event that is replayed again, while its subscriber has not taken it, is delivered once', async (t) => {
  const released = Promise.withResolvers<void>();
  const delivered: string[] = [];
  const { outbox, log } = patient.host.module('ping');
  const parking = new Parking(outbox.pool, outbox.schema, { baseMs: 60_000, maxMs: 60_000, maxAttempts: 2 });
  const relay = new Relay({ outbox, parking, log, pollMs: 60_000, subscriptions: () => [], async deliver(_subscriber, events) {
      await released.promise;
      delivered.push(...events.map(({ id }) => id));
      return events.map(() => ({ outcome: 'handled' }));
    } });
  const event = { id: uuidv7(), type: 'ping.hit.v1', aggregateId: uuidv7() } as unknown as EventEnvelope;
  await patient.host.module('ping').relay.stop();
  await relay.start();
  const replays = [relay.redeliver('pong.first', [event]), relay.redeliver('pong.first', [{ ...event }])];
  released.resolve();
  t.same(await Promise.all(replays), [true, true]);
  t.same(delivered, [event.id]);
  await relay.stop();
  await patient.host.module('ping').relay.start();
});

t.test('only tries count: not what found no room, nor what was held; and where one try is all, there is no second', async (t) => {
  const { outbox } = patient.host.module('ping');
  const policy = { baseMs: 60_000, maxMs: 60_000, maxAttempts: 1 };
  const parking = new Parking(outbox.pool, outbox.schema, policy);
  await parking.begin();
  const event = () => ({ id: uuidv7(), type: 'ping.hit.v1', aggregateId: uuidv7() }) as unknown as EventEnvelope;
  const rows = async ({ aggregateId }: EventEnvelope) => patient.sql('ping_outbox', 'select state, attempts, next_at is not null as "hasTime" from event_delivery where aggregate_id = $1', [aggregateId]);
  const [crowded, poison] = [event(), event()];

  t.equal(await parking.park('pong.none', crowded, { error: 'no room', tries: 0 }), true);
  t.same(await rows(crowded), [{ state: 'waiting', attempts: 0, hasTime: true }]);
  const pause = async () => (await patient.sql<{ s: number }>('ping_outbox', 'select extract(epoch from next_at - now())::float8 as s from event_delivery where aggregate_id = $1', [crowded.aggregateId]))[0]!.s;
  const growing = new Parking(outbox.pool, outbox.schema, { baseMs: 1_000, maxMs: 60_000, maxAttempts: 1 });
  await growing.begin();
  for (const [agoS, least, most] of [[0, 0.4, 1], [40, 9.9, 20.1], [400, 29.9, 60]] as const) {
    await patient.sql('ping_outbox', `update event_delivery set parked_at = now() - $2::int * interval '1 s' where aggregate_id = $1`, [crowded.aggregateId, agoS]);
    t.equal(await growing.postponed({ subscriber: 'pong.none', envelope: crowded, attempts: 0 }, undefined), true);
    const s = await pause();
    t.ok(s > least && s <= most, `${s} s after ${agoS} s of waiting`);
  }
  await parking.begin();
  t.same(await rows(crowded), [{ state: 'waiting', attempts: 0, hasTime: true }]);
  t.equal(await parking.park('pong.none', poison, { error: 'indigestible', tries: 1 }), false, 'its lane is free');
  t.same(await rows(poison), [{ state: 'dead', attempts: 1, hasTime: false }]);
  await patient.sql('ping_outbox', 'delete from event_delivery where subscriber = $1', ['pong.none']);
  await patient.host.module('ping').relay.stop();
  await patient.host.module('ping').relay.start();
});

t.test('a batch has its limit, also for one busy aggregate', async (t) => {
  const sizes: number[] = [];
  const order: string[] = [];
  const lanes = new Lanes({ concurrency: 2, batchSize: 50, async run(batch) {
      sizes.push(batch.length);
      order.push(...batch.map((event) => event.id));
    },
    async spill() {},
  });
  const events = Array.from({ length: 120 }, (_, index) => ({ id: String(index), aggregateId: 'busy' }) as unknown as EventEnvelope);
  for (const event of events) lanes.offer(event);
  lanes.pump();
  await shop.until(() => order.length === 120, 'all batches');
  t.strictSame(sizes, [50, 50, 20]);
  t.strictSame(order, events.map((event) => event.id));
});
