/** How administrators look after events: what is behind, what died and is tried again, what a subscriber missed and gets later. */
import t from 'tap';
import { type Reply, type SignedIn, type TestShop, testShop } from '#testing';
import { discoverModules } from '../../src/host/discover.ts';
import { API, shippingAddress } from './world.testing.ts';

const SUBSCRIBER = 'notifications.customer-messages';
const PLACED = 'orders.order-placed.v1';
const CANCELLED = 'orders.order-cancelled.v1';
const EVENTS = `${API}/admin/events`;
const TRIES = 3;
const settings = { EVENT_RETRY_BASE_MS: '5', EVENT_RETRY_MAX_MS: '20', EVENT_MAX_ATTEMPTS: String(TRIES), EVENT_POLL_MS: '200', EVENT_HANDLER_TIMEOUT_MS: '60000' };

/** What meets the subscriber on its way to an order that was placed. */
let meets: () => Promise<void> | void = () => undefined;
const probe = async (point: string) => void (point === `event:${SUBSCRIBER}:${PLACED}:applied` && (await meets()));
const poisoned = (): void => {
  throw new TypeError('cannot digest this');
};

const began = new Date().toISOString();
const modules = await discoverModules();
const early = await testShop(t, { settings, modules: modules.filter(({ contract }) => contract.name !== 'notifications') });
const product = await early.product({ stock: 100_000 });
const past = await customerWith(early, 3);
await untilOver(early);
await early.stop();
/** The same shop, with a module that it did not have before. */
let shop = await testShop(t, { settings, probe, database: early.database });
const admin = await shop.admin();

t.afterEach(() => {
  meets = () => undefined;
});

interface Customer extends SignedIn {
  readonly orders: readonly string[];
}

async function customerWith(at: TestShop, count: number): Promise<Customer> {
  const customer = await at.customer();
  const orders: string[] = [];
  for (let n = 0; n < count; n += 1) orders.push(await order(at, customer));
  return { ...customer, orders };
}

async function order(at: TestShop, { token }: SignedIn): Promise<string> {
  const { status, body } = await at.request('POST', `${API}/orders`, { token, body: { items: [{ productId: product.id, quantity: 1 }], shippingAddress } });
  if (status !== 201) throw new Error(`an order could not be placed: ${JSON.stringify(body)}`);
  return body.id;
}

/** Only what all subscribers have handled is there to be replayed. */
async function untilOver(at: TestShop): Promise<void> {
  await at.until(async () => (await at.sql('orders_outbox', `select 1 from job where state < 'active'`)).length === 0, 'all that was published to be handled');
}

async function get(path: string): Promise<Reply> {
  return shop.request('GET', `${EVENTS}${path}`, { token: admin.token });
}

async function post(path: string, body: object): Promise<Reply> {
  return shop.request('POST', `${EVENTS}${path}`, { token: admin.token, body });
}

interface State {
  readonly backlog: number;
  readonly retrying: number;
  readonly dead: number;
  readonly lagSeconds: number;
  readonly oldestAgeSeconds: number;
}

async function state(): Promise<State> {
  return (await get('/subscribers')).body.subscribers.find(({ subscriber }: { subscriber: string }) => subscriber === SUBSCRIBER);
}

/** Between which times something happened. */
interface Span {
  readonly from: number;
  readonly to: number;
}

async function timed<T>(work: () => Promise<T>): Promise<[T, Span]> {
  const from = Date.now();
  const result = await work();
  return [result, { from, to: Date.now() }];
}

/** Whether so many seconds, told within `told`, can be the age of what happened within `happened`. */
function isAge(seconds: number, told: Span, happened: Span): boolean {
  return seconds >= (told.from - happened.to) / 1_000 && seconds <= (told.to - happened.from) / 1_000;
}

/** How often the customer was told that each of the orders has come in. */
async function toldOf({ token, orders }: Customer): Promise<number[]> {
  const { body } = await shop.request('GET', `${API}/notifications?limit=100`, { token });
  const subjects = body.items.map(({ subject }: { subject: string }) => subject);
  return orders.map((id) => subjects.filter((subject: string) => subject.includes(id.slice(-8).toUpperCase()) && subject.includes('received')).length);
}

async function untilTold(customer: Customer, times: readonly number[]): Promise<void> {
  await shop.until(async () => (await toldOf(customer)).join() === times.join(), `the customer to be told ${times.join()} times`);
}

/** A customer whose orders the subscriber could not digest. */
async function poisonedCustomer(count: number): Promise<Customer> {
  meets = poisoned;
  const before = (await state()).dead;
  const customer = await customerWith(shop, count);
  await shop.until(async () => (await state()).dead === before + count, `${count} more dead letters`);
  return customer;
}

async function lettersOf({ orders }: Customer): Promise<{ event: { id: string; aggregateId: string } }[]> {
  const { body } = await get('/dead-letters?limit=100');
  return body.items.filter(({ event }: { event: { aggregateId: string } }) => orders.includes(event.aggregateId));
}

async function replayed(from: string, type = PLACED): Promise<number> {
  const asked = await post('/replays', { subscriber: SUBSCRIBER, type, from });
  if (asked.status !== 202) throw new Error(`no replay: ${JSON.stringify(asked.body)}`);
  const { body } = await shop.until(async () => {
    const reply = await get(`/replays/${asked.body.id}`);
    return reply.body.status === 'finished' && reply;
  }, 'the replay to be finished');
  return body.replayed;
}

t.test('a subscriber that was added later is handed the past, which has its effect once', async (t) => {
  t.same(await toldOf(past), [0, 0, 0]);
  const present = customerWith(shop, 5);
  t.ok((await replayed(began)) >= 3);
  const others = await present;
  await untilTold(past, [1, 1, 1]);
  await untilTold(others, [1, 1, 1, 1, 1]);
  t.ok((await replayed(began)) >= 8, 'all of it is handed over again');
  t.same([await toldOf(past), await toldOf(others)], [[1, 1, 1], [1, 1, 1, 1, 1]], 'nothing of it is new');
  t.equal(await replayed(new Date().toISOString()), 0, 'nothing happened since now');
});

t.test('a replay begins with the first event of the time that is named', async (t) => {
  const customer = await shop.customer();
  const times: string[] = [];
  let last = '';
  for (const _ of ['before', 'then', 'after']) {
    const id = (last = await order(shop, customer));
    const [event] = await shop.sql<{ at: string }>('orders_outbox', `select data->>'occurredAt' as at from job where data->>'type' = $1 and data->>'aggregateId' = $2`, [PLACED, id]);
    times.push(event!.at);
    await shop.until(() => Date.now() > Date.parse(event!.at) + 1, 'two milliseconds to pass, so that each has a time of its own');
  }
  const cancelled = await shop.until(async () => {
    const reply = await shop.request('POST', `${API}/orders/${last}/cancel`, { token: customer.token });
    return reply.status !== 409 && reply;
  }, 'the order to be one that can be cancelled');
  t.equal(cancelled.status, 200);
  await shop.until(async () => (await shop.sql('orders_outbox', `select 1 from job where data->>'type' = $1 and data->>'aggregateId' = $2`, [CANCELLED, last])).length > 0, 'the cancellation to be published');
  await untilOver(shop);
  const then = times[1]!;
  t.equal(await replayed(then, CANCELLED), 1, 'of the other type that the subscriber handles, the one');
  t.equal(await replayed(then), 2, 'the one of that very moment included');
  t.equal(await replayed(new Date(Date.parse(then) + 1).toISOString()), 1);
  t.equal(await replayed(then.replace('Z', '999Z')), 2, 'events have no microseconds');
  const second = then.replace(/\.\d+Z$/, 'Z');
  const since = await shop.sql('orders_outbox', `select 1 from job where data->>'type' = $1 and (data->>'occurredAt')::timestamptz >= $2`, [PLACED, second]);
  t.equal(await replayed(second), since.length, 'a whole second begins where it begins');
  t.match(await post('/replays', { subscriber: SUBSCRIBER, type: PLACED, from: then.replace('Z', '+02:00') }), { status: 400, body: { code: 'VALIDATION_FAILED', errors: [{ path: '/from' }] } }, 'times are in UTC');
});

t.test('how far a subscriber is behind can be seen', async (t) => {
  await shop.until(async () => (await state()).backlog === 0, 'nothing to be left');
  t.match(await state(), { backlog: 0, retrying: 0, lagSeconds: 0, oldestAgeSeconds: 0 });
  const held = Promise.withResolvers<void>();
  const entered = Promise.withResolvers<void>();
  meets = async () => {
    entered.resolve();
    await held.promise;
  };
  const customer = await customerWith(shop, 4);
  await entered.promise;
  const behind = await state();
  t.match(behind, { backlog: 4, retrying: 0 });
  t.ok(behind.lagSeconds > 0 && behind.oldestAgeSeconds === behind.lagSeconds);
  held.resolve();
  await untilTold(customer, [1, 1, 1, 1]);
  await shop.until(async () => (await state()).backlog === 0, 'the backlog to be gone');
  const shown = (await get('/subscribers')).body.subscribers.map(({ subscriber, types }: { subscriber: string; types: string[] }) => [subscriber, types]);
  const declared = modules.flatMap(({ contract, subscribes = {} }) => Object.entries(subscribes).map(([name, events]) => [`${contract.name}.${name}`, events.map(({ type }) => type)] as const));
  t.strictSame(shown, declared.toSorted(([a], [b]) => (a < b ? -1 : 1)), 'every subscriber once, with what it handles');
});

t.test('dead letters are shown page by page, with the event, its error and its tries', async (t) => {
  const customer = await poisonedCustomer(3);
  const shown: { subscriber: string; event: { aggregateId: string } }[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const { body }: Reply = await get(`/dead-letters?limit=1&subscriber=${SUBSCRIBER}${cursor && `&cursor=${cursor}`}`);
    shown.push(...body.items);
    cursor = body.nextCursor;
  }
  t.same(shown.map(({ event }) => event.aggregateId).sort(), customer.orders.toSorted());
  t.match(shown[0], { subscriber: SUBSCRIBER, attempts: TRIES, error: 'TypeError: cannot digest this', event: { type: PLACED, data: { customerId: customer.id } } });
  t.same((await get('/dead-letters?subscriber=nobody.at-all')).body, { items: [], nextCursor: null });
  meets = () => undefined;
  t.match(await post('/dead-letters/redrive', { all: true }), { status: 200, body: { redriven: 3, notFound: [] } });
  await untilTold(customer, [1, 1, 1]);
});

t.test('one, some or all dead letters are tried again', async (t) => {
  const customer = await poisonedCustomer(4);
  meets = () => undefined;
  const [one, two, three] = (await lettersOf(customer)).map(({ event }) => event);
  const unknown = '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10';
  t.match(await post('/dead-letters/redrive', { eventIds: [one!.id.toUpperCase(), unknown] }), { status: 200, body: { redriven: 1, notFound: [unknown] } });
  await untilTold(customer, customer.orders.map((id) => Number(id === one!.aggregateId)));
  t.match(await post('/dead-letters/redrive', { eventIds: [two!.id, three!.id], subscriber: 'nobody.at-all' }), { body: { redriven: 0 } });
  t.match(await post('/dead-letters/redrive', { eventIds: [one!.id, two!.id, three!.id] }), { body: { redriven: 2, notFound: [one!.id] } });
  await shop.until(async () => (await lettersOf(customer)).length === 1, 'one to be left');
  t.match(await post('/dead-letters/redrive', { all: true, subscriber: SUBSCRIBER }), { body: { redriven: 1 } });
  await untilTold(customer, [1, 1, 1, 1]);
  await shop.until(async () => (await state()).backlog === 0, 'nothing to be left');
  t.equal((await state()).dead, 0);
});

t.test('dead letters that are redriven twice at the same moment are tried once, and go back when they fail again', async (t) => {
  const customer = await poisonedCustomer(5);
  const redriven = async () => (await post('/dead-letters/redrive', { all: true })).body.redriven;
  const held = Promise.withResolvers<void>();
  meets = async () => held.promise;
  const counts = await Promise.all([redriven(), redriven(), redriven()]);
  t.equal(counts.reduce((sum, count) => sum + count, 0), 5);
  meets = poisoned;
  held.resolve();
  await shop.until(async () => (await state()).backlog === 0, 'each to be told or dead');
  meets = () => undefined;
  await redriven();
  await untilTold(customer, [1, 1, 1, 1, 1]);
});

t.test('redriving while the relay is busy loses nothing and repeats nothing', async (t) => {
  let tries = 0;
  meets = () => {
    tries += 1;
    if (tries % 3 > 0) poisoned();
  };
  const placing = Promise.all(Array.from({ length: 4 }, async () => customerWith(shop, 5)));
  let isOver = false;
  const redriving = (async () => {
    while (!isOver) await post('/dead-letters/redrive', { all: true });
  })();
  const customers = await placing;
  for (const customer of customers) await untilTold(customer, [1, 1, 1, 1, 1]);
  isOver = true;
  await redriving;
  t.match(await state(), { dead: 0 });
});

t.test('replays and redrives at once have one effect', async (t) => {
  const customer = await poisonedCustomer(3);
  meets = () => undefined;
  await Promise.all([replayed(began), post('/dead-letters/redrive', { all: true }), replayed(began), post('/dead-letters/redrive', { all: true })]);
  await untilTold(customer, [1, 1, 1]);
  t.ok((await replayed(began)) > 0);
  t.same([await toldOf(customer), await toldOf(past)], [[1, 1, 1], [1, 1, 1]]);
});

t.test('what cannot be meant is refused', async (t) => {
  const replay = { subscriber: SUBSCRIBER, type: PLACED, from: began };
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString();
  t.match(await post('/replays', { ...replay, subscriber: 'nobody.at-all' }), { status: 422, body: { code: 'SUBSCRIBER_NOT_FOUND' } });
  t.match(await post('/replays', { ...replay, type: 'orders.order-forgotten.v1' }), { status: 422, body: { code: 'EVENT_NOT_HANDLED' } });
  t.match(await post('/replays', { ...replay, type: 'catalog.product-created.v1' }), { status: 422, body: { code: 'EVENT_NOT_HANDLED' } }, 'an event that others handle');
  t.match(await post('/replays', { ...replay, from: tomorrow }), { status: 400, body: { code: 'VALIDATION_FAILED', errors: [{ path: '/from' }] } });
  t.match(await post('/replays', { ...replay, from: '2026-99-99T00:00:00Z' }), { status: 400, body: { errors: [{ path: '/from' }] } });
  t.match(await post('/replays', { subscriber: SUBSCRIBER, type: PLACED }), { status: 400 });
  t.match(await post('/dead-letters/redrive', {}), { status: 400, body: { code: 'VALIDATION_FAILED' } });
  t.match(await post('/dead-letters/redrive', { all: true, eventIds: [product.id] }), { status: 400 });
  t.match(await post('/dead-letters/redrive', { all: false }), { status: 400 });
  t.match(await get(`/replays/${product.id}`), { status: 404, body: { code: 'REPLAY_NOT_FOUND' } });
  for (const key of ['nonsense', [product.id], [product.id, 'a\u0000b'], [product.id, 1], ['nobody', SUBSCRIBER]]) {
    const cursor = Buffer.from(JSON.stringify(key)).toString('base64url');
    t.match(await get(`/dead-letters?cursor=${cursor}`), { status: 400, body: { errors: [{ path: '/cursor' }] } }, `the cursor ${JSON.stringify(key)}`);
  }
  for (const { token } of [await shop.customer(), await shop.support()]) {
    t.match(await shop.request('POST', `${EVENTS}/replays`, { token, body: replay }), { status: 403, body: { code: 'FORBIDDEN' } });
    t.match(await shop.request('GET', `${EVENTS}/subscribers`, { token }), { status: 403 });
  }
});

t.test('a sick aggregate is told from a subscriber that is slow', async (t) => {
  await shop.stop();
  const seldom = { ...settings, EVENT_RETRY_BASE_MS: '60000', EVENT_RETRY_MAX_MS: '60000' };
  shop = await testShop(t, { settings: seldom, probe, database: early.database });
  meets = poisoned;
  const [sick, fell] = await timed(async () => customerWith(shop, 1));
  await shop.until(async () => (await state()).retrying === 1, 'the order to be parked');
  meets = () => undefined;
  t.equal((await shop.request('POST', `${API}/orders/${sick.orders[0]}/cancel`, { token: sick.token })).status, 200);
  await shop.until(async () => (await state()).retrying === 2, 'its end to wait behind it');
  const healthy = await customerWith(shop, 1);
  await untilTold(healthy, [1]);
  await shop.until(async () => (await state()).backlog === 2, 'the healthy one to be gone past it');
  const [onlySick, told] = await timed(state);
  t.match(onlySick, { backlog: 2, retrying: 2, dead: 0, lagSeconds: 0 }, 'delivery is not behind');
  t.ok(isAge(onlySick.oldestAgeSeconds, told, fell), `${onlySick.oldestAgeSeconds} s is the age of the sick one`);

  const [held, entered] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  meets = async () => {
    entered.resolve();
    await held.promise;
  };
  const [waiting, came] = await timed(async () => customerWith(shop, 1));
  await entered.promise;
  const [slowToo, toldAgain] = await timed(state);
  t.match(slowToo, { backlog: 3, retrying: 2, dead: 0 });
  t.ok(slowToo.lagSeconds > 0 && isAge(slowToo.lagSeconds, toldAgain, came), `${slowToo.lagSeconds} s is the age of the one that waits`);
  t.ok(isAge(slowToo.oldestAgeSeconds, toldAgain, fell), `${slowToo.oldestAgeSeconds} s is the age of the sick one`);
  t.ok(slowToo.oldestAgeSeconds > slowToo.lagSeconds);
  held.resolve();
  await untilTold(waiting, [1]);
  t.same(await toldOf(sick), [0]);
});
