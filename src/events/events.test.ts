/** Invariants I4 and I5 by force: events commit with the state, and each subscriber handles each exactly once. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { CallError } from '../contract/errors.ts';
import { type TestShop, testShop } from '../testing/testing.ts';
import { gates, type Hit, ping, pingPong } from '../testing/fixtures/ping-pong.ts';
import { uuidv7 } from '../uuid.ts';
import { deadLetters, redrive } from './dead-letters.ts';

const migrations = join(import.meta.dirname, '..', 'testing', 'fixtures', 'migrations');
const settings = { EVENT_RETRY_BASE_MS: '5', EVENT_RETRY_MAX_MS: '20', EVENT_MAX_ATTEMPTS: '4', EVENT_HANDLER_TIMEOUT_MS: '300', EVENT_POLL_MS: '200' };

interface Seen {
  subscriber: string;
  event_id: string;
  n: number;
}

let behaviour: (subscriber: string, event: Hit) => Promise<void> | void = () => undefined;
const shop = await testShop(t, { modules: pingPong((subscriber, event) => behaviour(subscriber, event)), migrations, settings });

async function seen(id: string, subscriber: string, on: TestShop = shop): Promise<Seen[]> {
  return on.sql<Seen>('pong', 'select subscriber, event_id, n from seen where aggregate_id = $1 and subscriber = $2 order by at', [id, subscriber]);
}

async function hit(id: string, extra: { fail?: boolean } = {}, on: TestShop = shop) {
  return on.client(ping).hit({ id, ...extra }, on.call(60_000));
}

t.afterEach(() => {
  behaviour = () => undefined;
});

t.test('an event commits with the state change', async (t) => {
  const id = uuidv7();
  await hit(id);
  for (const subscriber of ['first', 'second']) {
    const rows = await shop.until(async () => (await seen(id, subscriber)).length && seen(id, subscriber), `the event at ${subscriber}`);
    t.strictSame(rows.map((row) => row.n), [1]);
  }
});

t.test('an event of a transaction that rolls back never exists', async (t) => {
  const id = uuidv7();
  await t.rejects(hit(id, { fail: true }), { code: 'INTERNAL' });
  const [outbox] = await shop.sql<{ n: number }>('ping_outbox', `select count(*) as n from job where data->>'aggregateId' = $1`, [id]);
  t.equal(outbox!.n, 0);
});

t.test('a failing subscriber is retried in order and holds up neither the other one nor other aggregates', async (t) => {
  const [sick, well] = [uuidv7(), uuidv7()];
  let failures = 2;
  behaviour = (subscriber, event) => {
    if (subscriber === 'first' && event.aggregateId === sick && failures > 0) {
      failures -= 1;
      throw new Error('not now');
    }
  };
  for (let i = 0; i < 5; i += 1) await hit(sick);
  await hit(well);
  await shop.until(async () => (await seen(well, 'first')).length === 1, 'the other aggregate');
  await shop.until(async () => (await seen(sick, 'second')).length === 5, 'the other subscriber');
  const rows = await shop.until(async () => (await seen(sick, 'first')).length === 5 && seen(sick, 'first'), 'all five after the retries');
  t.strictSame(rows.map((row) => row.n), [1, 2, 3, 4, 5], 'in order, retries included');
  await shop.until(async () => (await shop.sql('ping_outbox', 'select 1 from event_delivery where aggregate_id = $1', [sick])).length === 0, 'nothing stays parked');
});

t.test('while what a handler needs is away, its event waits: that costs no try, and the order stays', async (t) => {
  const [waiting, well] = [uuidv7(), uuidv7()];
  let asked = 0;
  let isAway = true;
  behaviour = (subscriber, event) => {
    if (subscriber !== 'first' || event.aggregateId !== waiting) return;
    asked += 1;
    if (isAway) throw new CallError('UNAVAILABLE', 'users cannot be reached');
  };
  await hit(waiting);
  await hit(waiting);
  await hit(well);
  await shop.until(() => asked > 10, 'more attempts than an event has tries');
  await shop.until(async () => (await seen(well, 'first')).length === 1, 'the other aggregate');
  const parked = await shop.sql('ping_outbox', 'select state, attempts, last_error from event_delivery where aggregate_id = $1 order by event_id', [waiting]);
  t.strictSame(parked[0], { state: 'waiting', attempts: 0, last_error: 'CallError: users cannot be reached' });
  t.same(await seen(waiting, 'first'), []);
  isAway = false;
  const rows = await shop.until(async () => (await seen(waiting, 'first')).length === 2 && seen(waiting, 'first'), 'both');
  t.strictSame(rows.map((row) => row.n), [1, 2]);
});

t.test('what an aggregate\'s first event waits for, those after it in the batch wait for as well, and nobody else', async (t) => {
  const [waiting, well] = [uuidv7(), uuidv7()];
  for (const id of [waiting, waiting, well]) await hit(id);
  await shop.until(async () => (await seen(waiting, 'first')).length === 2 && (await seen(well, 'first')).length === 1, 'all three');
  const published = await shop.sql<{ data: Hit }>('ping_outbox', `select data from job where data->>'aggregateId' = any ($1) order by id`, [[waiting, well]]);
  const [one, two, other] = published.map(({ data }) => ({ ...data, id: uuidv7() })) as [Hit, Hit, Hit];
  const tried: string[] = [];
  behaviour = (_subscriber, { id }) => {
    tried.push(id);
    if (id === one.id) throw new CallError('UNAVAILABLE', 'users cannot be reached');
  };
  const intake = shop.host.module('pong').intakes.get('pong.first')!;
  t.strictSame(await intake.handle([one, two, other]), [{ outcome: 'held', error: 'CallError: users cannot be reached' }, { outcome: 'held' }, { outcome: 'handled' }]);
  t.notOk(tried.includes(two.id));
  t.strictSame(await intake.handle([two]), [{ outcome: 'handled' }]);
});

t.test('whoever was reached and broke off may have done so over the event: that is a try', async (t) => {
  const id = uuidv7();
  await hit(id);
  await shop.until(async () => (await seen(id, 'first')).length === 1, 'it');
  const [event] = await shop.sql<{ data: Hit }>('ping_outbox', `select data from job where data->>'aggregateId' = $1`, [id]);
  behaviour = () => {
    throw new CallError('UNAVAILABLE', 'users cannot be reached', { underWay: true });
  };
  const intake = shop.host.module('pong').intakes.get('pong.first')!;
  t.strictSame(await intake.handle([{ ...event!.data, id: uuidv7() }]), [{ outcome: 'failed', error: 'CallError: users cannot be reached' }]);
});

t.test('what is parked for a subscriber that is gone comes to light as a dead letter', async (t) => {
  const id = uuidv7();
  await hit(id);
  await shop.until(async () => (await seen(id, 'first')).length === 1, 'it');
  const [event] = await shop.sql<{ data: Hit }>('ping_outbox', `select data from job where data->>'aggregateId' = $1`, [id]);
  await shop.host.module('ping').parking.park('pong.renamed', event!.data, { error: 'for a reason', tries: 1 });
  const dead = await shop.until(async () => (await deadLetters(shop.module('ping').db, 'ping_outbox', { limit: 10 })).find(({ subscriber }) => subscriber === 'pong.renamed'), 'the dead letter');
  t.match(dead, { attempts: 4, error: 'CallError: there is no subscriber pong.renamed here' });
  await shop.sql('ping_outbox', `delete from event_delivery where subscriber = 'pong.renamed'`);
});

t.test('after the last try an event is a dead letter with its error; the aggregate goes on; redriving it works', async (t) => {
  const id = uuidv7();
  let poison = true;
  behaviour = (subscriber, event) => {
    if (poison && subscriber === 'first' && event.aggregateId === id && event.data.n === 1) throw new TypeError('cannot digest this');
  };
  await hit(id);
  await hit(id);
  const { db } = shop.module('ping');
  const dead = await shop.until(async () => (await deadLetters(db, 'ping_outbox', { limit: 10 })).find((letter) => letter.event.aggregateId === id), 'the dead letter');
  t.match(dead, { subscriber: 'pong.first', attempts: 4, error: 'TypeError: cannot digest this' });
  await shop.until(async () => (await seen(id, 'first')).length === 1, 'the event after the dead one');
  poison = false;
  t.same(await redrive(db, 'ping_outbox', { eventIds: [dead.event.id] }), [dead.event.id]);
  const rows = await shop.until(async () => (await seen(id, 'first')).length === 2 && seen(id, 'first'), 'the redriven event');
  t.strictSame(rows.map((row) => row.n), [2, 1]);
});

t.test('a handler that hangs times out, does not commit late, and is tried again', async (t) => {
  const id = uuidv7();
  let tries = 0;
  behaviour = async (subscriber, event) => {
    if (subscriber !== 'first' || event.aggregateId !== id) return;
    tries += 1;
    if (tries === 1) await sleep(600);
  };
  await hit(id);
  await shop.until(async () => (await seen(id, 'first')).length === 1, 'the second try');
  await sleep(700);
  t.equal((await seen(id, 'first')).length, 1, 'the first try, finished late, had no effect');
  t.equal(tries, 2, 'or the second one would have found it handled');
});

for (const point of ['before', 'loaded', 'applied', 'committed']) {
  t.test(`an event delivered twice at the point "${point}" has its effect once`, async (t) => {
    const id = uuidv7();
    let arrived!: () => void;
    const reached = new Promise<void>((resolve) => (arrived = resolve));
    let release!: () => void;
    const released = new Promise<void>((resolve) => (release = resolve));
    let stops = 1;
    const other = await testShop(t, {
      modules: pingPong(),
      migrations,
      settings,
      async probe(name) {
        if (name !== `event:pong.first:ping.hit.v1:${point}` || stops === 0) return;
        stops -= 1;
        arrived();
        await released;
      },
    });
    await hit(id, {}, other);
    await reached;
    const [event] = await other.sql<{ data: Hit }>('ping_outbox', `select data from job where data->>'aggregateId' = $1`, [id]);
    const intake = other.host.module('pong').intakes.get('pong.first')!;
    const duplicate = intake.handle([event!.data]);
    if (point !== 'applied') await duplicate;
    release();
    t.match(await duplicate, [{ outcome: 'handled' }]);
    await other.until(async () => (await seen(id, 'first', other)).length > 0, 'the effect');
    await other.until(() => other.host.module('pong').gate.inFlight === 0, 'both deliveries to be over');
    t.equal((await seen(id, 'first', other)).length, 1);
    t.same(await other.sql('ping_outbox', 'select 1 from event_delivery'), [], 'and neither failed');
  });
}

t.test('an event that is twice in a batch has its effect once', async (t) => {
  const id = uuidv7();
  await hit(id);
  await shop.until(async () => (await seen(id, 'first')).length === 1, 'the event');
  const [event] = await shop.sql<{ data: Hit }>('ping_outbox', `select data from job where data->>'aggregateId' = $1`, [id]);
  const twin = { ...event!.data, id: uuidv7() };
  const tries: string[] = [];
  behaviour = (subscriber, { id: handled }) => void tries.push(`${subscriber} ${handled}`);
  t.match(await shop.host.module('pong').intakes.get('pong.first')!.handle([twin, twin]), [{ outcome: 'handled' }, { outcome: 'handled' }]);
  t.same(tries, [`first ${twin.id}`]);
});

t.test('a transaction that commits late is not skipped', async (t) => {
  const [late, early] = [uuidv7(), uuidv7()];
  let open!: () => void;
  gates.set(late, new Promise((resolve) => (open = resolve)));
  const slow = hit(late);
  await shop.until(async () => (await shop.sql('ping', `select 1 from pg_locks l join pg_stat_activity a using (pid) where a.application_name = 'cleave:ping' and l.mode = 'RowExclusiveLock' limit 1`)).length === 1, 'the late transaction to have written');
  for (let i = 0; i < 20; i += 1) await hit(early);
  await shop.until(async () => (await seen(early, 'first')).length === 20, 'the events that began later');
  t.equal((await seen(late, 'first')).length, 0);
  open();
  await slow;
  await shop.until(async () => (await seen(late, 'first')).length === 1, 'the late event');
});

t.test('two processes on one database handle each event once, and one goes on when the other leaves', async (t) => {
  const a = await testShop(t, { modules: pingPong(), migrations, settings });
  const b = await testShop(t, { modules: pingPong(), migrations, settings, database: a.database });
  const ids = Array.from({ length: 20 }, () => uuidv7());
  await Promise.all(ids.flatMap((id, i) => [hit(id, {}, i % 2 ? a : b), hit(id, {}, i % 2 ? b : a)]));
  const count = async () => (await b.sql<{ n: number }>('pong', 'select count(*) as n from seen'))[0]!.n;
  await b.until(async () => (await count()) === 80, 'every event at both subscribers');
  await a.stop();
  await Promise.all(ids.map(async (id) => hit(id, {}, b)));
  await b.until(async () => (await count()) === 120, 'the events after the owner left');
  const duplicates = await b.sql('pong', 'select event_id from seen group by subscriber, event_id having count(*) > 1');
  t.strictSame(duplicates, []);
  t.strictSame(await b.sql('ping_outbox', `select 1 from event_delivery where state = 'dead'`), []);
});

t.test('a batch in which one event fails handles the others', async (t) => {
  const ids = Array.from({ length: 30 }, () => uuidv7());
  const sick = ids[7]!;
  let failures = 3;
  behaviour = (subscriber, event) => {
    if (subscriber === 'second' && event.aggregateId === sick && failures > 0) {
      failures -= 1;
      throw new Error('not now');
    }
  };
  await Promise.all(ids.map(async (id) => hit(id)));
  await shop.until(async () => (await Promise.all(ids.map(async (id) => (await seen(id, 'second')).length))).every((n) => n === 1), 'each event once');
  t.pass();
});
