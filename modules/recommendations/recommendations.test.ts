/** What is bought together, through the public door: counted once, taken back, and counted anew. */
import t, { type Test } from 'tap';
import type { EventEnvelope } from '#kernel';
import { type Reply, testShop } from '#testing';

const shop = await testShop(t);
const [ada, admin] = [await shop.customer(), await shop.admin()];
const shippingAddress = { name: 'Ada Lovelace', line1: '12 St James Square', city: 'London', postalCode: 'SW1Y 4JH', country: 'GB' };
const NOBODYS = '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10';
const PATH = '/api/v1/admin/recommendations/rebuild';

const product = async (name: string): Promise<string> => (await shop.product({ name, stock: 100_000 })).id;
const recommended = async (id: string, query = ''): Promise<Reply> => shop.request('GET', `/api/v1/recommendations/${id}${query}`);

async function order(...productIds: string[]): Promise<string> {
  const items = productIds.map((productId) => ({ productId, quantity: 2 }));
  const { status, body } = await shop.request('POST', '/api/v1/orders', { token: ada.token, body: { items, shippingAddress, payment: { method: 'card', cardToken: 'tok_visa' } } });
  if (status !== 201) throw new Error(`an order answered ${status}: ${JSON.stringify(body)}`);
  return body.id;
}

async function bought(...productIds: string[]): Promise<string> {
  const id = await order(...productIds);
  await shop.until(async () => (await shop.request('GET', `/api/v1/orders/${id}`, { token: ada.token })).body.status === 'confirmed', `order ${id} to be confirmed`);
  return id;
}

async function cancel(id: string): Promise<void> {
  const { status } = await shop.request('POST', `/api/v1/orders/${id}/cancel`, { token: ada.token });
  if (status !== 200) throw new Error(`cancelling ${id} answered ${status}`);
}

/** Until the companions of a product are these, best first, as `name × orders`. */
async function companions(t: Test, id: string, expected: string[]): Promise<void> {
  const shown = async (): Promise<string[]> => (await recommended(id)).body.items.map(({ name, boughtTogether }: { name: string; boughtTogether: number }) => `${name} × ${boughtTogether}`);
  await shop.until(async () => JSON.stringify(await shown()) === JSON.stringify(expected), `the companions to be ${expected.join()}`).catch(() => undefined);
  t.same(await shown(), expected);
}

/** As they were published, in their order. */
async function eventsOf(orderId: string, type: string): Promise<EventEnvelope[]> {
  const rows = await shop.sql<{ data: EventEnvelope }>('orders_outbox', `select data from job where name = 'events' and data->>'aggregateId' = $1 and data->>'type' = $2`, [orderId, type]);
  return rows.map(({ data }) => data);
}

async function deliver(...events: EventEnvelope[]): Promise<void> {
  const results = await shop.module('recommendations').intakes.get('recommendations.bought-together')!.handle(events);
  if (results.some(({ outcome }) => outcome !== 'handled')) throw new Error(`not handled: ${JSON.stringify(results)}`);
}

interface Pair {
  pair: string;
  orders: number;
}

/** Every pair of the current counting that differs from what the orders themselves say. */
async function differences(): Promise<string[]> {
  const expected = await shop.sql<Pair>(
    'orders',
    `select format('%s with %s', a.product_id, b.product_id) as pair, count(*)::int as orders
     from customer_order o join order_item a on a.order_id = o.id join order_item b on b.order_id = o.id and a.product_id <> b.product_id
     where o.status in ('confirmed', 'shipped', 'delivered') group by 1`,
  );
  const counted = await shop.sql<Pair>('recommendations', `select format('%s with %s', product_id, companion_id) as pair, orders from pair where orders > 0 and counting_id = (select id from counting where status = 'current')`);
  const [should, does] = [expected, counted].map((pairs) => new Map(pairs.map(({ pair, orders }) => [pair, orders])));
  return [...new Set([...should!.keys(), ...does!.keys()])].filter((pair) => should!.get(pair) !== does!.get(pair)).map((pair) => `${pair}: ${does!.get(pair)} of ${should!.get(pair)}`);
}

async function rebuilt(): Promise<Reply> {
  const begun = await shop.request('POST', PATH, { token: admin.token });
  return shop.until(async () => {
    const now = await shop.request('GET', PATH, { token: admin.token });
    return now.body.status === 'finished' && now.body.id === begun.body.id && now;
  }, 'the counting to be finished', 30_000);
}

t.test('what is bought together is recommended, best first', async (t) => {
  const [pot, lid, spoon] = [await product('Pot'), await product('Lid'), await product('Spoon')];
  await companions(t, pot, []);
  await bought(pot, lid);
  await bought(pot, lid, spoon);
  await companions(t, pot, ['Lid × 2', 'Spoon × 1']);
  await companions(t, spoon, lid > pot ? ['Lid × 1', 'Pot × 1'] : ['Pot × 1', 'Lid × 1']);
  t.same((await recommended(pot, '?limit=1')).body.items.map(({ name }: { name: string }) => name), ['Lid']);
  t.match((await recommended(pot.toUpperCase())).body.items, [{ productId: lid, name: 'Lid', price: { amount: 1999, currency: 'USD' }, boughtTogether: 2 }, { productId: spoon }]);

  const body = { price: { amount: 1, currency: 'USD' } };
  await shop.request('PATCH', `/api/v1/products/${lid}`, { token: admin.token, body });
  t.match((await recommended(pot)).body.items[0], body, 'the price of today');
  await shop.request('DELETE', `/api/v1/products/${lid}`, { token: admin.token });
  await companions(t, pot, ['Spoon × 1']);
  t.match(await recommended(lid), { status: 404, body: { code: 'PRODUCT_NOT_FOUND' } });
  t.match(await recommended(NOBODYS), { status: 404, body: { code: 'PRODUCT_NOT_FOUND' } });
});

t.test('many that cannot be ordered any more do not hide one that can', async (t) => {
  const [tent, peg] = [await product('Tent'), await product('Peg')];
  await bought(tent, peg);
  const gone = await Promise.all(Array.from({ length: 25 }, async (_, n) => product(`Gone ${n}`)));
  await bought(tent, ...gone);
  await bought(tent, ...gone);
  await companions(t, peg, ['Tent × 1']);
  await shop.until(async () => (await recommended(tent)).body.items.length === 20, 'both orders to be counted');
  await Promise.all(gone.map(async (id) => shop.request('DELETE', `/api/v1/products/${id}`, { token: admin.token })));
  t.same((await recommended(tent, '?limit=2')).body.items.map(({ name }: { name: string }) => name), ['Peg']);
});

t.test('an order counts once, however often its event comes', async (t) => {
  const [cup, saucer] = [await product('Cup'), await product('Saucer')];
  const id = await bought(cup, saucer);
  await companions(t, cup, ['Saucer × 1']);
  const [event] = await eventsOf(id, 'orders.order-confirmed.v1');
  await deliver(event!, event!);
  await shop.sql('recommendations_outbox', 'delete from inbox where event_id = $1', [event!.id]);
  await deliver(event!, event!);
  await companions(t, cup, ['Saucer × 1']);
});

t.test('what is cancelled is taken back, once, and not counted by what comes late', async (t) => {
  const [bow, arrow] = [await product('Bow'), await product('Arrow')];
  const [kept, cancelled] = [await bought(bow, arrow), await bought(bow, arrow)];
  await companions(t, bow, ['Arrow × 2']);
  await cancel(cancelled);
  await companions(t, bow, ['Arrow × 1']);

  const late = [...(await eventsOf(cancelled, 'orders.order-cancelled.v1')), ...(await eventsOf(cancelled, 'orders.order-confirmed.v1'))];
  t.equal(late.length, 2);
  await shop.sql('recommendations_outbox', 'delete from inbox where event_id = any($1::uuid[])', [late.map(({ id }) => id)]);
  await deliver(...late);
  await companions(t, bow, ['Arrow × 1']);

  const [confirmed] = await eventsOf(kept, 'orders.order-confirmed.v1');
  await shop.sql('recommendations', 'delete from basket where order_id = $1', [cancelled]);
  await shop.sql('recommendations_outbox', 'delete from inbox where event_id = any($1::uuid[])', [late.map(({ id }) => id)]);
  await deliver(late[0]!, { ...confirmed!, id: NOBODYS }, late[1]!);
  await companions(t, bow, ['Arrow × 1']);
});

t.test('an order that never came to anything does not count', async (t) => {
  const [hat, coat] = [await product('Hat'), await product('Coat')];
  const items = [hat, coat].map((productId) => ({ productId, quantity: 1 }));
  const { body } = await shop.request('POST', '/api/v1/orders', { token: ada.token, body: { items, shippingAddress, payment: { method: 'card', cardToken: 'tok_declined' } } });
  const barred = async () => shop.sql('recommendations', `select 1 from basket where order_id = $1 and status = 'cancelled'`, [body.id]);
  await shop.until(async () => (await barred()).length === 1, 'the cancellation to arrive');
  await companions(t, hat, []);
});

t.test('a rebuild counts anew from the history, while the counts of before are answered and orders come and go', async (t) => {
  const goods = await Promise.all(Array.from({ length: 8 }, async (_, n) => product(`Good ${n}`)));
  const pick = (n: number): string[] => [goods[n % 8]!, goods[(n * 3 + 1) % 8]!, goods[(n * 5 + 2) % 8]!];
  const placed: string[] = [];
  const place = async (count: number, from: number): Promise<void> => {
    for (let n = from; n < from + count; n += 1) placed.push(await order(...new Set(pick(n))));
  };
  const fulfilled = async () => shop.until(async () => (await shop.sql('orders', `select 1 from customer_order where status in ('pending', 'paid') limit 1`)).length === 0, 'the orders to be fulfilled', 120_000);
  await Promise.all([0, 60, 120, 180].map(async (from) => place(60, from)));
  await fulfilled();

  await shop.until(async () => (await differences()).length === 0, 'all orders to be counted');
  const before = (await recommended(goods[0]!)).body;
  await shop.sql('recommendations', 'update pair set orders = orders + 1000');
  const spoilt = (await recommended(goods[0]!)).body;
  t.not(spoilt.items[0].boughtTogether, before.items[0].boughtTogether, 'what is wrong now');

  const [again, same] = await Promise.all([shop.request('POST', PATH, { token: admin.token }), shop.request('POST', PATH, { token: admin.token })]);
  t.match(again, { status: 202, body: { status: 'running', finishedAt: null } });
  t.equal(same.body.id, again.body.id, 'asked for twice, it is made once');
  await Promise.all([rebuilt(), place(20, 1_000), ...placed.slice(0, 40).map(cancel)]);
  await fulfilled();
  await shop.until(async () => (await differences()).length === 0, 'what the orders say to be counted').catch(() => undefined);
  t.same(await differences(), []);
  await shop.until(async () => (await shop.sql('recommendations', 'select 1 from counting')).length === 1, 'what is outdated to be removed');
  t.same(await shop.sql('recommendations', 'select distinct counting_id from pair union select distinct counting_id from basket'), await shop.sql('recommendations', 'select id as counting_id from counting'));
});

t.test('a rebuild that a process leaves behind is finished by the next one', { skip: !shop.isOneProcess && 'is about two processes of one shop' }, async (t) => {
  const other = await testShop(t, { database: shop.database });
  await shop.sql('recommendations', 'update pair set orders = orders + 7');
  const { body } = await shop.request('POST', PATH, { token: admin.token });
  await shop.host.stop();
  const { token } = await other.signIn(admin.username, admin.password);
  await other.until(async () => {
    const now = await other.request('GET', PATH, { token });
    return now.body.status === 'finished' && now.body.id === body.id;
  }, 'the counting to be finished by the other process', 30_000);
  t.same(await differences(), []);
});
