/** What is bought together, through the public door: counted once, and taken back. */
import t, { type Test } from 'tap';
import type { EventEnvelope } from '#kernel';
import { testShop } from '#testing';
import { Buyer, recommended } from './buyer.testing.ts';

const shop = await testShop(t);
const admin = await shop.admin();
const ada = new Buyer(shop, await shop.customer());
const NOBODYS = '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10';

const product = async (name: string): Promise<string> => (await shop.product({ name, stock: 100_000 })).id;

/** Until the companions of a product are these, best first, as `name × orders`. */
async function companions(t: Test, id: string, expected: string[]): Promise<void> {
  const shown = async (): Promise<string[]> => (await recommended(shop, id)).body.items.map(({ name, boughtTogether }: { name: string; boughtTogether: number }) => `${name} × ${boughtTogether}`);
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

t.test('what is bought together is recommended, best first', async (t) => {
  const [pot, lid, spoon] = [await product('Pot'), await product('Lid'), await product('Spoon')];
  await companions(t, pot, []);
  await ada.buy(pot, lid);
  await ada.buy(pot, lid, spoon);
  await companions(t, pot, ['Lid × 2', 'Spoon × 1']);
  await companions(t, spoon, lid > pot ? ['Lid × 1', 'Pot × 1'] : ['Pot × 1', 'Lid × 1']);
  t.same((await recommended(shop, pot, '?limit=1')).body.items.map(({ name }: { name: string }) => name), ['Lid']);
  t.match((await recommended(shop, pot.toUpperCase())).body.items, [{ productId: lid, name: 'Lid', price: { amount: 1999, currency: 'USD' }, boughtTogether: 2 }, { productId: spoon }]);

  const body = { price: { amount: 1, currency: 'USD' } };
  await shop.request('PATCH', `/api/v1/products/${lid}`, { token: admin.token, body });
  t.match((await recommended(shop, pot)).body.items[0], body, 'the price of today');
  await shop.request('DELETE', `/api/v1/products/${lid}`, { token: admin.token });
  await companions(t, pot, ['Spoon × 1']);
  t.match(await recommended(shop, lid), { status: 404, body: { code: 'PRODUCT_NOT_FOUND' } });
  t.match(await recommended(shop, NOBODYS), { status: 404, body: { code: 'PRODUCT_NOT_FOUND' } });
});

t.test('many that cannot be ordered any more do not hide one that can', async (t) => {
  const [tent, peg] = [await product('Tent'), await product('Peg')];
  await ada.buy(tent, peg);
  const gone = await Promise.all(Array.from({ length: 25 }, async (_, n) => product(`Gone ${n}`)));
  await ada.buy(tent, ...gone);
  await ada.buy(tent, ...gone);
  await companions(t, peg, ['Tent × 1']);
  await shop.until(async () => (await recommended(shop, tent)).body.items.length === 20, 'both orders to be counted');
  await Promise.all(gone.map(async (id) => shop.request('DELETE', `/api/v1/products/${id}`, { token: admin.token })));
  t.same((await recommended(shop, tent, '?limit=2')).body.items.map(({ name }: { name: string }) => name), ['Peg']);
});

t.test('an order counts once, however often its event comes', async (t) => {
  const [cup, saucer] = [await product('Cup'), await product('Saucer')];
  const id = await ada.buy(cup, saucer);
  await companions(t, cup, ['Saucer × 1']);
  const [event] = await eventsOf(id, 'orders.order-confirmed.v1');
  await deliver(event!, event!);
  await shop.sql('recommendations_outbox', 'delete from inbox where event_id = $1', [event!.id]);
  await deliver(event!, event!);
  await companions(t, cup, ['Saucer × 1']);
});

t.test('what is cancelled is taken back, once, and not counted by what comes late', async (t) => {
  const [bow, arrow] = [await product('Bow'), await product('Arrow')];
  const [kept, cancelled] = [await ada.buy(bow, arrow), await ada.buy(bow, arrow)];
  await companions(t, bow, ['Arrow × 2']);
  await ada.cancel(cancelled);
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
  const id = await ada.order([hat, coat], 'tok_declined');
  const barred = async () => shop.sql('recommendations', `select 1 from basket where order_id = $1 and status = 'cancelled'`, [id]);
  await shop.until(async () => (await barred()).length === 1, 'the cancellation to arrive');
  await companions(t, hat, []);
});
