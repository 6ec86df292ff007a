/**
 * Lost database connections: each kind that the shop holds is killed on the server while orders are placed. The
 * shop must be itself again within seconds, without a restart and without losing what it has acknowledged.
 */
import t from 'tap';
import { type Reply, testShop } from '#testing';
import { booksAtRest, untilAtRest } from './books.testing.ts';

const settings = { SAGA_RETRY_BASE_MS: '20', SAGA_RETRY_MAX_MS: '100', EVENT_RETRY_BASE_MS: '20', EVENT_RETRY_MAX_MS: '100', PAYMENT_RECOVERY_AFTER_MS: '200' };
const shippingAddress = { name: 'Radia Perlman', line1: '1 Spanning Tree', city: 'Boston', postalCode: '02108', country: 'US' };
const CLIENTS = 2;
/** Orders that a client has under way at once. Without a bound they come faster than they are fulfilled, and how long one takes says nothing of recovery. */
const AHEAD = 5;

const shop = await testShop(t, { settings });
const product = await shop.product({ stock: 100_000 });
const customer = await shop.customer();
const acknowledged: string[] = [];
const refusals: Reply[] = [];
let trading = true;

/** Places orders one after the other, a few ahead of what is confirmed; an order that got no answer is repeated under its key. */
async function trade(client: number): Promise<void> {
  const underWay: string[] = [];
  for (let n = 0; trading; n += 1) {
    if (underWay.length === AHEAD) await confirmation(underWay.shift()!);
    underWay.push(await placed(`client-${client}-${n}`));
  }
}

async function placed(key: string): Promise<string> {
  for (;;) {
    const id = await place(key);
    if (id !== undefined) return id;
  }
}

async function confirmation(id: string): Promise<void> {
  await shop.until(async () => !trading || isConfirmed(id), `the order ${id} to be confirmed`, 30_000);
}

async function place(key: string): Promise<string | undefined> {
  const body = { items: [{ productId: product.id, quantity: 1 }], shippingAddress, payment: { method: 'card', cardToken: 'tok_visa' } };
  const reply = await shop.request('POST', '/api/v1/orders', { token: customer.token, headers: { 'idempotency-key': key }, body });
  if (reply.status === 201) acknowledged.push(reply.body.id);
  else refusals.push(reply);
  return reply.status === 201 ? reply.body.id : undefined;
}

async function kinds(): Promise<string[]> {
  const rows = await shop.sql<{ name: string }>('public', `select distinct application_name as name from pg_stat_activity where datname = current_database() and application_name like 'cleave%' and application_name not like 'cleave:test%' order by 1`);
  return rows.map((row) => row.name);
}

async function kill(name: string): Promise<number> {
  const rows = await shop.sql('public', 'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = $1', [name]);
  return rows.length;
}

async function isConfirmed(id: string): Promise<boolean> {
  const rows = await shop.sql('orders', `select 1 from customer_order where id = $1 and status = 'confirmed'`, [id]);
  return rows.length === 1;
}

const clients = Array.from({ length: CLIENTS }, async (_, client) => trade(client));
await shop.until(async () => acknowledged.length > 0 && isConfirmed(acknowledged[0]!), 'the first order to be confirmed');

for (const name of await kinds()) {
  t.test(`the loss of ${name}`, async (t) => {
    t.ok((await kill(name)) > 0, 'there was something to lose');
    const before = acknowledged.length;
    await shop.until(() => acknowledged.length > before + CLIENTS, 'new orders to be accepted', 5_000);
    const [id] = acknowledged.slice(-1);
    await shop.until(async () => isConfirmed(id!), 'a new order to be confirmed', 5_000);
  });
}

t.test('losses that come faster than the shop recovers from them', async (t) => {
  const known = refusals.length;
  for (let round = 0; refusals.length < known + 5; round += 1) {
    const answers = refusals.length + acknowledged.length;
    await kill(['cleave:orders', 'cleave:users', 'cleave:catalog'][round % 3]!);
    await shop.until(() => refusals.length + acknowledged.length > answers, 'the next answer');
  }
  t.strictSame(refusals.filter(({ status }) => status !== 503).map(({ status, body }) => `${status} ${body.code}`), [], 'a lost connection is nobody\'s fault, and passes');
});

t.test('nothing acknowledged is lost, nothing is done twice, and every connection is back', async (t) => {
  trading = false;
  await Promise.all(clients);
  await untilAtRest(shop);
  t.strictSame(await booksAtRest(shop), []);
  t.equal(new Set(acknowledged).size, acknowledged.length, 'a repeated request is no second order');
  const [orders] = await shop.sql<{ n: number; confirmed: number }>('orders', `select count(*) as n, count(*) filter (where status = 'confirmed') as confirmed from customer_order`);
  t.strictSame(orders, { n: acknowledged.length, confirmed: acknowledged.length });
  for (const module of ['catalog', 'inventory', 'notifications', 'orders', 'payments', 'shipping', 'users']) {
    const { db, outbox } = shop.module(module);
    await shop.until(() => db.pool.totalCount === db.pool.idleCount && outbox.pool.totalCount === outbox.pool.idleCount, `the connections of ${module}`);
  }
});
