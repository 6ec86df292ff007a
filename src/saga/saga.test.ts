/** Invariant I6 at the level of the helper, with a saga that has nothing to do with a shop: booking a trip. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Type } from '@sinclair/typebox';
import t from 'tap';
import { defineContract, defineModule, type Saga } from '../kernel.ts';
import type { Database } from '../database/database.ts';
import type { AnyModule } from '../module.ts';
import { recordSpans, testShop, type TestShop } from '../testing/testing.ts';
import { uuidv7 } from '../uuid.ts';
import { createSaga } from './create.ts';

interface Trip {
  readonly id: string;
  readonly waitMs: number;
  confirmation?: string;
}

type Step = 'flight' | 'hotel' | 'answer' | 'pay';

/** What the outside world did, in order. */
const world: string[] = [];
let flight: (id: string) => Promise<void> | void = () => undefined;
let pay: (id: string) => Promise<void> | void = () => undefined;
let undoHotel: () => Promise<void> | void = () => undefined;

const trip = defineContract({ name: 'trip', version: 1, summary: 'Books trips.', errors: {}, operations: {}, events: {} });
let db!: Database;
let booking!: Saga<Trip, Step>;

function tripModule(): AnyModule {
  const definition = defineModule({
    contract: trip,
    dependencies: {},
    consumes: {},
    settings: Type.Object({}),
    entities: [],
    setup(context) {
      db = context.db;
      booking = bookingSaga(context.db);
      return { operations: {}, sagas: [booking] };
    },
  });
  return definition as unknown as AnyModule;
}

function bookingSaga(database: Database): Saga<Trip, Step> {
  const status = async (tx: { sql: Database['sql'] }, id: string, value: string) => tx.sql('update trip set status = $2 where id = $1', [id, value]);
  return createSaga<Trip, Step>(database, {
    name: 'booking',
    first: 'flight',
    steps: {
      flight: {
        giveUpAfterMs: 300,
        giveUpReason: 'NO_FLIGHT',
        async effect({ id }) {
          await flight(id);
          world.push(`flight ${id}`);
        },
        settle: async () => ({ do: 'step', step: 'hotel' }),
        undo: async ({ id }) => void world.push(`undo flight ${id}`),
      },
      hotel: {
        effect: async ({ id }) => void world.push(`hotel ${id}`),
        settle: async ({ waitMs }) => ({ do: 'wait', step: 'answer', timeoutMs: waitMs }),
        async undo({ id }) {
          await undoHotel();
          world.push(`undo hotel ${id}`);
        },
      },
      answer: {
        async settle(data, confirmation: string) {
          data.confirmation = confirmation;
          return { do: 'step', step: 'pay' };
        },
        timedOut: async () => ({ do: 'compensate', reason: 'NO_ANSWER' }),
      },
      pay: {
        effect: async ({ id }) => pay(id),
        async settle(data, _result, tx) {
          await status(tx, data.id, `booked ${data.confirmation}`);
          return { do: 'finish' };
        },
        undo: async ({ id }) => void world.push(`undo pay ${id}`),
      },
    },
    compensating: async ({ id }, reason, tx) => void (await status(tx, id, `cancelling ${reason}`)),
    compensated: async ({ id }, reason, tx) => void (await status(tx, id, `cancelled ${reason}`)),
  });
}

const migrations = join(import.meta.dirname, '..', 'testing', 'fixtures', 'migrations');
const settings = { SAGA_RETRY_BASE_MS: '10', SAGA_RETRY_MAX_MS: '30', EVENT_POLL_MS: '200' };
const options = { modules: [tripModule()], migrations, settings };
let shop: TestShop = await testShop(t, options);

async function begin(waitMs = 60_000): Promise<string> {
  const id = uuidv7();
  await db.transaction({ call: shop.call() }, async (tx) => {
    await tx.sql(`insert into trip (id, status) values ($1, 'new')`, [id]);
    await booking.begin(tx, id, { id, waitMs });
  });
  return id;
}

async function signal(id: string, result: string): Promise<boolean> {
  return db.transaction({ call: shop.call() }, async (tx) => booking.signal(tx, id, 'answer', result));
}

async function abort(id: string): Promise<boolean> {
  return db.transaction({ call: shop.call() }, async (tx) => booking.abort(tx, id, 'CHANGED_MY_MIND'));
}

async function untilStatus(id: string, status: string): Promise<void> {
  await shop.until(async () => (await shop.sql<{ status: string }>('trip', 'select status from trip where id = $1', [id]))[0]?.status === status, `trip to be "${status}"`);
}

async function untilWaiting(id: string): Promise<void> {
  await shop.until(async () => (await shop.sql('trip_outbox', `select 1 from saga where id = $1 and status = 'waiting'`, [id])).length === 1, 'the saga to wait');
}

function happened(id: string): string[] {
  return world.filter((entry) => entry.endsWith(id)).map((entry) => entry.replace(` ${id}`, ''));
}

t.afterEach(() => {
  flight = () => undefined;
  pay = () => undefined;
  undoHotel = () => undefined;
});

t.test('it runs to its end', async (t) => {
  const id = await begin();
  await untilWaiting(id);
  t.ok(await signal(id, 'room 7'));
  await untilStatus(id, 'booked room 7');
  t.strictSame(happened(id), ['flight', 'hotel']);
  t.notOk(await signal(id, 'room 8'), 'nobody listens any more');
  t.notOk(await abort(id), 'what is finished cannot be aborted');
});

t.test('a step that fails is tried again', async (t) => {
  let failures = 3;
  flight = () => {
    if (failures-- > 0) throw new Error('no line');
  };
  const id = await begin();
  await untilWaiting(id);
  t.strictSame(happened(id), ['flight', 'hotel']);
});

t.test('a step that may give up does, and everything that was started is undone, last first', async (t) => {
  flight = () => {
    throw new Error('no line');
  };
  const id = await begin();
  await untilStatus(id, 'cancelled NO_FLIGHT');
  t.strictSame(happened(id), ['undo flight'], 'also the step of which nobody knows whether it worked');
});

t.test('a signal that comes before its step is kept', async (t) => {
  let release!: () => void;
  flight = () => new Promise<void>((resolve) => (release = resolve));
  const id = await begin();
  await shop.until(() => release, 'the effect to run');
  t.ok(await signal(id, 'room 9'));
  release();
  await untilStatus(id, 'booked room 9');
});

t.test('a wait that times out compensates', async (t) => {
  const id = await begin(50);
  await untilStatus(id, 'cancelled NO_ANSWER');
  t.strictSame(happened(id), ['flight', 'hotel', 'undo hotel', 'undo flight']);
});

t.test('an abort while an effect is under way undoes that effect too', async (t) => {
  let release: (() => void) | undefined;
  pay = () => new Promise<void>((resolve) => (release = resolve));
  const id = await begin();
  await untilWaiting(id);
  await signal(id, 'room 1');
  await shop.until(() => release, 'the effect to run');
  t.ok(await abort(id));
  await untilStatus(id, 'cancelling CHANGED_MY_MIND');
  t.notOk(await abort(id), 'it is at it already');
  release!();
  await untilStatus(id, 'cancelled CHANGED_MY_MIND');
  t.strictSame(happened(id), ['flight', 'hotel', 'undo pay', 'undo hotel', 'undo flight']);
});

t.test('a compensation that fails is repeated until it succeeds', async (t) => {
  let failures = 3;
  undoHotel = () => {
    if (failures-- > 0) throw new Error('no line');
  };
  const id = await begin();
  await untilWaiting(id);
  await abort(id);
  await untilStatus(id, 'cancelled CHANGED_MY_MIND');
  t.strictSame(happened(id), ['flight', 'hotel', 'undo hotel', 'undo flight']);
});

t.test('timers and work survive the process', async (t) => {
  const waits = await begin(400);
  await untilWaiting(waits);
  await shop.host.stop();
  const interrupted = uuidv7();
  await shop.sql('trip', `insert into trip (id, status) values ($1, 'new')`, [interrupted]);
  await shop.sql('trip_outbox', `insert into saga (name, id, status, step, trail, data, wake_at, traceparent, request_id) values ('booking', $1, 'running', 'hotel', '{flight,hotel}', $2, now(), $3, 'r')`, [
    interrupted,
    JSON.stringify({ id: interrupted, waitMs: 60_000 }),
    shop.call().traceparent,
  ]);
  await sleep(450);
  shop = await testShop(t, { ...options, database: shop.database });
  await untilStatus(waits, 'cancelled NO_ANSWER');
  await untilWaiting(interrupted);
  t.strictSame(happened(interrupted), ['hotel']);
});

t.test('a process that does not own the module wakes the one that does', async (t) => {
  const owner = await testShop(t, { ...options, settings: { ...settings, EVENT_POLL_MS: '60000' } });
  shop = await testShop(t, { ...options, settings: { ...settings, EVENT_POLL_MS: '60000' }, database: owner.database });
  const id = await begin();
  await untilWaiting(id);
  t.ok(await abort(id));
  await untilStatus(id, 'cancelled CHANGED_MY_MIND');
});

t.test('effects that wait for something else do not keep others from going on', async (t) => {
  shop = await testShop(t, options);
  const TRIPS = 40;
  const all = Promise.withResolvers<void>();
  let begun = 0;
  flight = async () => {
    if (++begun === TRIPS) all.resolve();
    return all.promise;
  };
  const ids = await Promise.all(Array.from({ length: TRIPS }, async () => begin()));
  for (const id of ids) await untilWaiting(id);
  for (const id of ids) t.strictSame(happened(id), ['flight', 'hotel']);
});

t.test('what is more than a process keeps in mind is found without waiting for the next poll', async (t) => {
  const rare = { ...options, settings: { ...settings, EVENT_POLL_MS: '60000' } };
  shop = await testShop(t, rare);
  const untilAllWait = async (count: number) =>
    shop.until(async () => (await shop.sql<{ n: number }>('trip_outbox', `select count(*) as n from saga where status = 'waiting'`))[0]!.n === count, `${count} sagas to wait`, 60_000);
  const beginMany = async (count: number) => {
    const ids = Array.from({ length: count }, () => uuidv7());
    await db.transaction({ call: shop.call(30_000) }, async (tx) => {
      for (const id of ids) await booking.begin(tx, id, { id, waitMs: 600_000 });
    });
    return ids;
  };
  const told = await beginMany(3_000);
  await untilAllWait(3_000);
  const found = Array.from({ length: 500 }, () => uuidv7());
  await shop.host.stop();
  await shop.sql('trip_outbox', `insert into saga (name, id, status, step, trail, data, wake_at, traceparent, request_id)
    select 'booking', id, 'running', 'hotel', '{flight,hotel}', jsonb_build_object('id', id, 'waitMs', 600000), now(), $2, 'r' from unnest($1::uuid[]) as id`, [found, shop.call().traceparent]);
  shop = await testShop(t, { ...rare, database: shop.database });
  await untilAllWait(3_500);
  const hotels = world.filter((entry) => entry.startsWith('hotel '));
  for (const id of [...told, ...found]) if (!hotels.includes(`hotel ${id}`)) t.fail(`nobody went on with ${id}`);
});

t.test('an effect that hangs is given up and tried again, after the delay that is due', async (t) => {
  shop = await testShop(t, { ...options, settings: { SAGA_RETRY_BASE_MS: '600', SAGA_RETRY_MAX_MS: '600', SAGA_STEP_TIMEOUT_MS: '150', EVENT_POLL_MS: '200' } });
  const tries: number[] = [];
  flight = async () => {
    tries.push(performance.now());
    if (tries.length === 1) await new Promise(() => undefined);
  };
  const id = await begin();
  await untilWaiting(id);
  t.ok(tries[1]! - tries[0]! >= 150 + 300, 'not sooner than the poll may come by');
  await shop.stop();
  t.pass('nothing is waited for any more');
});

t.test('an instance at a step that the code does not know any more waits for code that does, and says so', async (t) => {
  shop = await testShop(t, options);
  const id = uuidv7();
  await shop.sql('trip_outbox', `insert into saga (name, id, status, step, trail, data, wake_at, traceparent, request_id) values ('booking', $1, 'running', 'train', '{}', '{}', now(), $2, 'r')`, [id, shop.call().traceparent]);
  const row = await shop.until(async () => (await shop.sql<{ attempts: number; last_error: string }>('trip_outbox', 'select attempts, last_error from saga where id = $1 and attempts > 1', [id]))[0], 'the failure to be recorded');
  t.match(row.last_error, /no step "train"/);
});

t.test('each try of a step is a span under the one in which the saga began, with what it failed with', async (t) => {
  const recorder = await recordSpans(t);
  shop = await testShop(t, { ...options, tracing: recorder.tracing });
  let failures = 2;
  flight = () => {
    if (failures-- > 0) throw new RangeError('a secret reason');
  };
  const id = await begin(200);
  await untilStatus(id, 'cancelled NO_ANSWER');
  const wanted = ['run booking.flight', 'run booking.flight', 'run booking.flight', 'run booking.hotel', 'time out booking.answer', 'undo booking.hotel', 'undo booking.flight'];
  const [began, ...steps] = await shop.until(() => {
    const found = recorder.spans().filter(({ attributes }) => attributes['cleave.saga.id'] === id).toSorted((a, b) => a.start - b.start);
    return found.length > wanted.length && found;
  }, 'all steps to end');
  t.match(began, { name: 'begin booking', kind: 'producer', parentId: undefined });
  t.same(steps.map(({ name }) => name), wanted);
  t.same(steps.filter(({ parentId, traceId }) => parentId !== began!.id || traceId !== began!.traceId), []);
  t.same(steps.slice(0, 3).map(({ failed, attributes }) => [failed, attributes['error.type'], attributes['cleave.saga.try']]), [[true, 'RangeError', 1], [true, 'RangeError', 2], [false, undefined, 3]]);
  t.notMatch(recorder.text(), 'secret reason');
});
