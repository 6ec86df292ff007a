/** A service that is away: what waits for it completes by itself when it is back, and what does not need it goes on. */
import t from 'tap';
import { servicesBehindGateway } from './services.testing.ts';

const settings = { SAGA_RETRY_BASE_MS: '20', SAGA_RETRY_MAX_MS: '200', EVENT_MAX_ATTEMPTS: '2', EVENT_RETRY_BASE_MS: '10', EVENT_RETRY_MAX_MS: '50' };
const shop = await servicesBehindGateway(t, { services: [['users'], ['catalog', 'storefront', 'recommendations', 'support'], ['inventory', 'orders', 'shipping'], ['payments'], ['notifications']], settings });
const customer = await shop.customer();
const product = await shop.product({ stock: 100 });
const shippingAddress = { name: 'Ada Lovelace', line1: '12 St James Square', city: 'London', postalCode: 'SW1Y 4JH', country: 'GB' };
const API = '/api/v1';

async function order(): Promise<string> {
  const body = { items: [{ productId: product.id, quantity: 1 }], shippingAddress, payment: { method: 'card', cardToken: 'tok_visa' } };
  const { status, body: placed } = await shop.request('POST', `${API}/orders`, { token: customer.token, body });
  if (status !== 201) throw new Error(`an order answered ${status}: ${JSON.stringify(placed)}`);
  return placed.id;
}

const statusOf = async (id: string): Promise<string> => (await shop.request('GET', `${API}/orders/${id}`, { token: customer.token })).body.status;
const tries = async (id: string): Promise<number> => (await shop.sql<{ attempts: number }>('orders_outbox', `select attempts from saga where id = $1`, [id]))[0]?.attempts ?? 0;
const mails = async (): Promise<string[]> => (await shop.sql<{ subject: string }>('notifications', `select subject from notification where channel = 'email'`)).map(({ subject }) => subject);

t.test('with payments down an order is taken, its charge waits, and completes by itself when payments is back', async (t) => {
  const comesBack = await shop.without('payments');
  const ids = [await order(), await order()];
  for (const id of ids) await shop.until(async () => (await tries(id)) >= 3, 'the charge to have been tried again and again');
  t.same(await Promise.all(ids.map(statusOf)), ['pending', 'pending']);
  t.match(await shop.request('GET', `${API}/payments?orderId=${ids[0]}`, { token: customer.token }), { status: 503, body: { code: 'UNAVAILABLE' } });
  t.equal((await shop.request('GET', `${API}/products/${product.id}`)).status, 200, 'who does not need it does not notice');
  t.match((await shop.request('GET', '/health')).body, { status: 'degraded', modules: { payments: 'unhealthy', orders: /healthy|degraded/ } });

  await comesBack();
  for (const id of ids) await shop.until(async () => (await statusOf(id)) === 'confirmed', `order ${id} to be confirmed`, 20_000);
  for (const id of ids) {
    const { body } = await shop.request('GET', `${API}/payments?orderId=${id}`, { token: customer.token });
    t.match(body.items, [{ orderId: id, status: 'completed' }], 'charged once');
    t.equal(body.items.length, 1);
  }
});

t.test('events for a subscriber that is away wait for it, and none of them becomes a dead letter', async (t) => {
  const comesBack = await shop.without('notifications');
  const before = (await shop.sql('orders_outbox', `select 1 from job where name = 'events' and state < 'active'`)).length;
  const id = await order();
  await shop.until(async () => (await statusOf(id)) === 'confirmed', 'the order to be confirmed meanwhile');
  t.ok((await shop.sql('orders_outbox', `select 1 from job where name = 'events' and state < 'active'`)).length > before, 'the news waits in the outbox');
  await comesBack();
  const number = id.slice(-8).toUpperCase();
  await shop.until(async () => (await mails()).filter((subject) => subject.includes(number)).length === 2, 'the customer to be told', 20_000);
  t.same((await mails()).filter((subject) => subject.includes(number)).toSorted(), [`We received your order ${number}`, `We received your payment for order ${number}`]);
  for (const outbox of ['orders_outbox', 'payments_outbox']) t.same(await shop.sql(outbox, `select 1 from event_delivery where state = 'dead'`), []);
});

t.test('an owner that loses its connection, while events of it wait for a subscriber that is away, goes on with all the rest', async (t) => {
  const comesBack = await shop.without('notifications');
  const before = await order();
  await shop.until(async () => (await statusOf(before)) === 'confirmed', 'an order whose news waits');
  await shop.sql('orders', `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'cleave:owner'`);
  const id = await order();
  await shop.until(async () => (await statusOf(id)) === 'confirmed', 'the next one to be confirmed', 20_000);
  await comesBack();
  for (const number of [before, id].map((each) => each.slice(-8).toUpperCase())) await shop.until(async () => (await mails()).filter((subject) => subject.includes(number)).length === 2, 'the customers to be told', 20_000);
  for (const outbox of ['orders_outbox', 'payments_outbox']) t.same(await shop.sql(outbox, `select 1 from event_delivery where state = 'dead'`), []);
});

t.test('events whose handler needs a service that is away wait for it, longer than their tries would last', async (t) => {
  const comesBack = await shop.without('users');
  const id = await order();
  await shop.until(async () => (await statusOf(id)) === 'confirmed', 'the order to be confirmed meanwhile');
  const waiting = async () => (await shop.sql<{ attempts: number }>('orders_outbox', `select attempts from event_delivery where subscriber like 'notifications.%' and aggregate_id = $1 and next_at > parked_at + interval '100 ms'`, [id]))[0];
  t.same(await shop.until(waiting, 'the news to have been tried for longer than two tries take'), { attempts: 0 });
  await comesBack();
  const number = id.slice(-8).toUpperCase();
  await shop.until(async () => (await mails()).filter((subject) => subject.includes(number)).length === 2, 'the customer to be told', 20_000);
  for (const outbox of ['orders_outbox', 'payments_outbox']) t.same(await shop.sql(outbox, `select 1 from event_delivery where state = 'dead'`), []);
});
