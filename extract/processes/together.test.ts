/** `npm start` twice on one database: two processes are one shop, also when one of them is killed or stands still. */
import { randomInt, randomUUID } from 'node:crypto';
import t from 'tap';
import { openMailbox, testRedisUrl, withoutRedis } from '#testing';
import { Books } from '../torture/books.testing.ts';
import { type Answer, deploy, PASSWORD, type Shop, shippingAddress, until } from './deployment.testing.ts';

t.setTimeout(240_000);
const skip = await withoutRedis();

const brisk = { SAGA_RETRY_BASE_MS: '20', SAGA_RETRY_MAX_MS: '200', EVENT_RETRY_BASE_MS: '20', EVENT_RETRY_MAX_MS: '200' };

interface Placed {
  readonly id: string;
  /** Which of the processes has answered. */
  readonly by: number;
}

async function price(shop: Shop, id: string): Promise<number> {
  return (await shop.do('GET', `/products/${id}`)).price.amount;
}

async function setPrice(shop: Shop, token: string, id: string, amount: number): Promise<void> {
  await shop.do('PATCH', `/products/${id}`, { token, body: { price: { amount, currency: 'USD' } } });
}

/** The one that was started first owns what is owned. */
type Pair = readonly [owner: Shop, other: Shop];

// Starting processes is most of the work, so these share one deployment: where the owner is killed, the other one takes over, and another one comes.
const mailbox = await openMailbox();
t.teardown(async () => mailbox.goDown());
const { adminUrl, start, sql } = await deploy(t, { ...brisk, PAYMENT_TIMEOUT: '4s', SIGN_IN_ACCOUNT_FAILURES: '4', SMTP_URL: mailbox.url });
const books = new Books(adminUrl);
t.teardown(async () => books.close());
let shops: Pair = [await start(), await start()];

async function ownerIsKilled(): Promise<Shop> {
  const [owner, other] = shops;
  await owner.kill();
  return other;
}

t.test('caches agree', async (t) => {
  const admin = await shops[0].admin();
  const id = await shops[0].product(admin, { price: 1 });

  for (let amount = 2; amount <= 41; amount += 1) {
    for (const shop of shops) await price(shop, id);
    await setPrice(shops[amount % 2]!, admin, id, amount);
    t.same(await Promise.all(shops.map(async (shop) => price(shop, id))), [amount, amount]);
  }

  t.comment('one stands still while the other one changes a price: when it goes on, it serves nothing old');
  shops[0].signal('SIGSTOP');
  const began = performance.now();
  await setPrice(shops[1], admin, id, 100);
  const waited = performance.now() - began;
  shops[0].signal('SIGCONT');
  t.equal(await price(shops[0], id), 100);
  t.ok(waited < 3_000, `the change waited ${waited.toFixed()} ms for a process that stood still`);

  const left = await ownerIsKilled();
  const afterwards = performance.now();
  await setPrice(left, admin, id, 200);
  t.equal(await price(left, id), 200);
  const took = performance.now() - afterwards;
  t.ok(took < 3_000, `the change waited ${took.toFixed()} ms for a process that is dead`);
  const third = await start();
  shops = [left, third];
  t.equal(await price(third, id), 200);
  await setPrice(third, admin, id, 300);
  t.equal(await price(left, id), 300);
});

/** Asks the processes in turn, under one idempotency key, until one answers. */
async function place(first: number, token: string, productIds: readonly string[], card?: string): Promise<Placed> {
  const items = productIds.map((productId) => ({ productId, quantity: 1 }));
  const body = { items, shippingAddress, ...(card !== undefined && { payment: { method: 'card', cardToken: card } }) };
  const headers = { 'idempotency-key': randomUUID() };
  return until(async () => {
    for (const by of [first, 1 - first]) {
      const reply = await shops[by]!.ask('POST', '/orders', { token, body, headers }).catch(() => undefined);
      if (reply?.status === 201) return { id: reply.body.id, by };
    }
    return undefined;
  }, 'an order to be placed');
}

interface Story {
  readonly id: string;
  readonly status: string;
  readonly events: readonly string[];
  readonly mails: number;
}

/** What became of the orders, and how many e-mails tell of each. */
async function stories(): Promise<Story[]> {
  return sql<Story>(`select o.id, o.status, e.events, coalesce(m.mails, 0) as mails
    from orders.customer_order o
    left join (select order_id, array_agg(event order by id) as events from orders.order_event where event <> 'message_sent' group by 1) e on e.order_id = o.id
    left join (select substring(body from 'Order: ([0-9a-f-]{36})')::uuid as order_id, count(*)::int as mails from notifications.notification where channel = 'email' group by 1) m on m.order_id = o.id`);
}

/**
 * Waits until so many orders have come to their end, and nothing is under way any more that could happen a second time: then answers what happened
 * to them, each different story once.
 */
async function storiesOf(count: number, whole: Pick<Story, 'events' | 'mails'>): Promise<unknown[]> {
  const ended = async () => (await stories()).filter(({ events, mails }) => whole.events.every((event) => events.includes(event)) && mails >= whole.mails);
  await until(async () => (await ended()).length === count, `${count} orders to come to ${whole.events.at(-1)} and be told of`);
  await books.mustRest();
  return [...new Set((await ended()).map(({ events, mails }) => JSON.stringify({ events, mails })))].map((story) => JSON.parse(story) as unknown);
}

/** Ids of the e-mails that are in the books; resolves when none of them waits to be sent. */
async function mailsInBooks(): Promise<string[]> {
  await until(async () => (await sql(`select 1 from notifications.notification where status = 'queued'`)).length === 0, 'all mails to be sent');
  return (await sql<{ id: string }>(`select id from notifications.notification where channel = 'email' order by id`)).map(({ id }) => id);
}

/** Ids of those that have reached the mailbox, as often as they have. */
function mailsReceived(): string[] {
  return mailbox.mails.map(({ headers }) => /^<([^@]+)@/.exec(headers.get('message-id')![0]!)![1]!).toSorted();
}

/** What contradicts that everything was taken off the shelf, charged, told and counted once. */
async function contradictions(): Promise<string[]> {
  return (await Promise.all([books.stock(), books.money(), books.orders(), books.events(), books.boughtTogether()])).flat();
}

interface Level {
  readonly onHand: number;
  readonly reserved: number;
}

async function level(productId: string): Promise<Level> {
  return (await sql<Level>('select on_hand::int as "onHand", reserved::int from inventory.stock where product_id = $1', [productId]))[0]!;
}

/** In how many orders the two are counted as bought together. */
async function together(productId: string, companionId: string): Promise<number[]> {
  const rows = await sql<{ orders: number }>('select orders from recommendations.pair where product_id = $1 and companion_id = $2 and orders > 0', [productId, companionId]);
  return rows.map(({ orders }) => orders);
}

/** Which process owns the modules: the one whose connection holds the locks. */
async function ownedBy(): Promise<number> {
  const rows = await sql<{ pid: number }>(`select distinct pid from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database()) and granted`);
  return rows.length;
}

t.test('events are handled once', async (t) => {
  const [admin, customer] = [await shops[0].admin(), await shops[1].customer()];
  const [pot, cup] = [await shops[0].product(admin, { stock: 1_000 }), await shops[1].product(admin, { stock: 1_000 })];
  t.equal(await ownedBy(), 1, 'one connection of one process holds what is owned');

  const many = async (count: number) => Promise.all(Array.from({ length: count }, async (_, i) => place(i % 2, customer.token, [pot, cup], 'tok_visa')));
  const once = { events: ['order_placed', 'stock_reserved', 'payment_completed', 'order_paid', 'stock_committed', 'order_confirmed'], mails: 2 };
  await many(20);
  t.same(await storiesOf(20, once), [once], 'each step is recorded once, the order and its payment told of once each');
  t.same(await mailsInBooks(), mailsReceived(), 'each mail is sent once');

  t.comment('the owner is killed in the middle');
  const orders = many(40);
  await until(async () => (await stories()).length >= 30, 'ten more orders to be placed');
  const left = await ownerIsKilled();
  t.equal((await orders).length, 40);
  t.same(await storiesOf(60, once), [once]);
  t.same(await level(pot), { onHand: 940, reserved: 0 }, 'each order was taken off the shelf once');
  t.equal((await sql('select 1 from payments.simulator_charge')).length, 60, 'each order was charged once');
  t.same([await together(pot, cup), await together(cup, pot)], [[60], [60]], 'each order was counted once');
  t.same(await contradictions(), []);
  shops = [left, await start()];
});

t.test('timers fire once', async (t) => {
  const [admin, customer] = [await shops[0].admin(), await shops[1].customer()];
  const productId = await shops[0].product(admin);
  const waiting = async (count: number) => until(async () => (await stories()).filter(({ status }) => status === 'awaiting_payment').length === count, `${count} orders to wait for their payment`);
  const placeMany = async () => Promise.all(Array.from({ length: 15 }, async (_, i) => place(i % 2, customer.token, [productId])));
  const once = { events: ['order_placed', 'stock_reserved', 'awaiting_payment', 'order_cancelled', 'stock_released', 'compensated'], mails: 2 };

  // Where a process was killed between a mail and its books, the mail is sent again.
  const earlier = new Set(await mailsInBooks());
  await placeMany();
  await waiting(15);
  t.same(await storiesOf(15, once), [once], 'each timer fired once, the order and its end are told of once each');
  const isNew = (id: string): boolean => !earlier.has(id);
  t.same((await mailsInBooks()).filter(isNew), mailsReceived().filter(isNew), 'each mail is sent once');
  t.comment('the owner is killed while the timers run');
  await placeMany();
  await waiting(15);
  const left = await ownerIsKilled();
  t.same(await storiesOf(30, once), [once]);
  t.same(await level(productId), { onHand: 10_000, reserved: 0 }, 'all stock is free');
  shops = [left, await start()];

  t.comment('the time of reservations is up before that of their payments');
  await placeMany();
  await waiting(15);
  await sql(`update orders_outbox.saga set wake_at = wake_at + interval '1 hour' where status = 'waiting'`);
  await sql(`update inventory.reservation set expires_at = now() where status = 'reserved'`);
  const expired = { events: ['order_placed', 'stock_reserved', 'awaiting_payment', 'reservation_expired', 'order_cancelled', 'compensated'], mails: 2 };
  t.same(await storiesOf(15, expired), [expired], 'each has expired once');
  t.equal((await sql(`select 1 from inventory_outbox.job where data->>'type' = 'inventory.reservation-expired.v1'`)).length, 15, 'and was reported once');
  t.same(await level(productId), { onHand: 10_000, reserved: 0 });
  t.same(await contradictions(), []);
});

t.test('sign-in throttles are shared', async (t) => {
  const { username, token } = await shops[0].customer();
  const signIn = async (shop: Shop, password: string): Promise<Answer> => shop.ask('POST', '/users/authenticate', { body: { username, password } });
  for (const shop of [...shops, ...shops]) t.equal((await signIn(shop, 'not the password')).status, 401);
  for (const shop of shops) t.match(await signIn(shop, PASSWORD), { status: 429, body: { code: 'TOO_MANY_SIGN_INS' } });
  await ownerIsKilled();
  t.equal((await signIn(shops[1], PASSWORD)).status, 429, 'what the killed one has counted still counts');
  t.equal((await shops[1].ask('GET', '/users/me', { token })).status, 200, 'who is signed in stays so');
});

t.test('rate limits are shared where REDIS_URL is set', { skip }, async (t) => {
  const { start } = await deploy(t, { RATE_LIMIT_PER_MINUTE: '10', TRUST_PROXY: '1', REDIS_URL: testRedisUrl });
  const shops = [await start(), await start()] as const;
  const headers = { 'x-forwarded-for': `10.${randomInt(256)}.${randomInt(256)}.${randomInt(256)}` };
  const statuses: number[] = [];
  for (let i = 0; i < 12; i += 1) statuses.push((await shops[i % 2]!.ask('GET', '/categories', { headers })).status);
  t.same(statuses, [...Array<number>(10).fill(200), 429, 429]);
  await shops[0].kill();
  t.match(await shops[1].ask('GET', '/categories', { headers }), { status: 429, body: { code: 'RATE_LIMITED' } });
});
