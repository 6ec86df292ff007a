import pg from 'pg';
import t from 'tap';
import { isRefusal, uuidv7 } from '#kernel';
import { cloneDatabase, testShop } from '#testing';
import { catalog } from '../catalog/contract.ts';
import { imbalances } from './balance.testing.ts';
import { inventory } from './contract.ts';
import { demoStock } from './demo-stock.ts';

const shop = await testShop(t, { settings: { LOW_STOCK_THRESHOLD: '3' } });
const admin = await shop.admin();
const stock = shop.client(inventory);

const get = async (id: string) => shop.request('GET', `/api/v1/inventory/${id}`);
const put = async (id: string, body: unknown, token?: string) => shop.request('PUT', `/api/v1/inventory/${id}`, { token: token ?? admin.token, body });
const adjust = async (id: string, body: unknown, token?: string) =>
  shop.request('POST', `/api/v1/inventory/${id}/adjustments`, { token: token ?? admin.token, body });
const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();

async function reserved(productId: string, quantity: number): Promise<string> {
  const orderId = uuidv7();
  const { outcome } = await stock.reserve({ orderId, items: [{ productId, quantity }], expiresAt: inAnHour() }, shop.call());
  if (outcome !== 'reserved') throw new Error(`${quantity} pieces of ${productId} could not be reserved: ${outcome}`);
  return orderId;
}

async function published(aggregateId: string): Promise<unknown[]> {
  const rows = await shop.sql<{ type: string; data: unknown }>(
    'inventory_outbox',
    `select data->>'type' as type, data->'data' as data from job where name = 'events' and data->>'aggregateId' = $1 order by id`,
    [aggregateId],
  );
  return rows.map(({ type, data }) => ({ type, data }));
}

void t.test('a new product has no stock, and that is known at once', async (t) => {
  const kettle = { name: 'Kettle', description: '', price: { amount: 3900, currency: 'EUR' } };
  const created = await shop.request('POST', '/api/v1/products', { token: admin.token, body: kettle });
  const productId = created.body.id;

  const reply = await get(productId);

  t.equal(reply.status, 200);
  t.same(reply.body, { productId, available: 0, status: 'out_of_stock' });
  const rows = async () => shop.sql('inventory', 'select 1 from stock where product_id = $1', [productId]);
  await shop.until(async () => (await rows()).length === 1, 'the stock row that productCreated makes');
  t.same((await get(productId)).body, { productId, available: 0, status: 'out_of_stock' });
});

void t.test('nobody knows the stock of a product that does not exist', async (t) => {
  const id = uuidv7();
  for (const reply of [await get(id), await put(id, { onHand: 1 }), await adjust(id, { delta: 1, reason: 'found one' })]) {
    t.equal(reply.status, 404);
    t.equal(reply.body.code, 'PRODUCT_NOT_FOUND');
  }
  t.equal((await get('kettle')).status, 400);
  await t.rejects(stock.getAvailability({ productId: id }, shop.call()), { code: 'PRODUCT_NOT_FOUND', module: 'inventory' });
});

void t.test('an administrator counts the shelf', async (t) => {
  const { id: productId } = await shop.product({ stock: 4 });
  t.same((await get(productId)).body, { productId, available: 4, status: 'in_stock' });

  const reply = await put(productId, { onHand: 3 });

  t.equal(reply.status, 200);
  t.same(reply.body, { productId, onHand: 3, reserved: 0, available: 3, status: 'low' });
  t.same((await put(productId, { onHand: 3 })).body, reply.body, 'counting the same again changes nothing');
  t.same(await published(productId), [
    { type: 'inventory.stock-changed.v1', data: { productId, onHand: 4, reserved: 0, available: 4 } },
    { type: 'inventory.stock-changed.v1', data: { productId, onHand: 3, reserved: 0, available: 3 } },
  ]);
});

void t.test('an administrator adds and takes away, and each change is kept with its reason and actor', async (t) => {
  const { id: productId } = await shop.product({ stock: 10 });

  const reply = await adjust(productId, { delta: -7, reason: 'broken in the warehouse' });

  t.equal(reply.status, 201);
  t.match(reply.body, { productId, delta: -7, reason: 'broken in the warehouse', onHand: 3, reserved: 0, available: 3, status: 'low' });
  const log = await shop.sql('inventory', 'select id, delta, on_hand, reason, actor_id from adjustment where product_id = $1 order by id', [productId]);
  t.same(log, [
    { id: log[0]!['id'], delta: 10, on_hand: 10, reason: 'counted', actor_id: admin.id },
    { id: reply.body.id, delta: -7, on_hand: 3, reason: 'broken in the warehouse', actor_id: admin.id },
  ]);
  for (const change of ['update adjustment set delta = 1 where id = $1', 'delete from adjustment where id = $1']) {
    await t.rejects(shop.sql('inventory', change, [reply.body.id]), /append only/);
  }
});

void t.test('stock cannot be changed to what is impossible', async (t) => {
  const { id: productId } = await shop.product({ stock: 10 });
  await reserved(productId, 4);

  const refusals = [await put(productId, { onHand: 3 }), await adjust(productId, { delta: -7, reason: 'lost' })];

  for (const reply of refusals) {
    t.equal(reply.status, 409);
    t.match(reply.body, { code: 'STOCK_WOULD_GO_NEGATIVE', onHand: 10, reserved: 4 });
  }
  await put(productId, { onHand: 1_000_000_000 });
  const tooMuch = await adjust(productId, { delta: 1, reason: 'one more' });
  t.equal(tooMuch.status, 409);
  t.equal(tooMuch.body.code, 'STOCK_TOO_LARGE');
  t.same((await put(productId, { onHand: 4 })).body, { productId, onHand: 4, reserved: 4, available: 0, status: 'out_of_stock' });
});

void t.test('malformed changes are refused at the door', async (t) => {
  const { id } = await shop.product({ stock: 1 });
  const bodies = [{}, { onHand: -1 }, { onHand: 1.5 }, { onHand: '7' }, { onHand: 1_000_000_001 }, { onHand: 1, reserved: 0 }];
  for (const body of bodies) t.equal((await put(id, body)).status, 400, JSON.stringify(body));
  const reasons = ['', 'two\nlines', 'x'.repeat(201), undefined];
  const adjustments = [{ delta: 0, reason: 'none' }, { delta: 0.5, reason: 'half' }, ...reasons.map((reason) => ({ delta: 1, reason }))];
  for (const body of adjustments) t.equal((await adjust(id, body)).status, 400, JSON.stringify(body));
});

void t.test('only administrators change stock', async (t) => {
  const { id } = await shop.product({ stock: 1 });
  for (const user of [await shop.customer(), await shop.support()]) {
    t.equal((await put(id, { onHand: 5 }, user.token)).status, 403);
    t.equal((await adjust(id, { delta: 5, reason: 'mine' }, user.token)).status, 403);
  }
  t.equal((await shop.request('PUT', `/api/v1/inventory/${id}`, { body: { onHand: 5 } })).status, 401);
  t.equal((await get(id)).body.available, 1);
});

void t.test('stock is set aside, leaves the shelf, and comes back', async (t) => {
  const { id: productId } = await shop.product({ stock: 10 });
  const level = async () => (await shop.sql('inventory', 'select on_hand, reserved from stock where product_id = $1', [productId]))[0];

  const orderId = await reserved(productId, 3);
  t.same(await level(), { on_hand: 10, reserved: 3 });
  t.same(await stock.getAvailability({ productId }, shop.call()), { productId, available: 7, status: 'in_stock' });

  for (const time of ['first', 'second']) {
    t.same(await stock.commit({ orderId }, shop.call()), {}, `${time} commit`);
    t.same(await level(), { on_hand: 7, reserved: 0 });
  }
  for (const time of ['first', 'second']) {
    t.same(await stock.release({ orderId }, shop.call()), {}, `${time} release`);
    t.same(await level(), { on_hand: 10, reserved: 0 });
  }
  t.same(await stock.reserve({ orderId, items: [{ productId, quantity: 3 }], expiresAt: inAnHour() }, shop.call()), { outcome: 'released', missing: [] });
  t.same(await level(), { on_hand: 10, reserved: 0 });
});

void t.test('an order gets all of its lines or none', async (t) => {
  const [plenty, scarce] = [await shop.product({ stock: 10 }), await shop.product({ stock: 1 })];
  const unknown = uuidv7();
  const orderId = uuidv7();
  const items = [plenty.id, scarce.id, unknown].map((productId) => ({ productId, quantity: 2 }));

  const answer = await stock.reserve({ orderId, items, expiresAt: inAnHour() }, shop.call());

  t.equal(answer.outcome, 'out_of_stock');
  t.same([...answer.missing].sort(), [scarce.id, unknown].sort());
  t.equal((await get(plenty.id)).body.available, 10);
  await put(scarce.id, { onHand: 5 });
  t.same(await stock.reserve({ orderId, items: items.slice(0, 2), expiresAt: inAnHour() }, shop.call()), answer, 'the first answer stands');
});

void t.test('one product in two lines counts as one line', async (t) => {
  const { id: productId } = await shop.product({ stock: 5 });
  const lines = [{ productId, quantity: 3 }, { productId: productId.toUpperCase(), quantity: 3 }];
  t.same(await stock.reserve({ orderId: uuidv7(), items: lines, expiresAt: inAnHour() }, shop.call()), { outcome: 'out_of_stock', missing: [productId] });
  await put(productId, { onHand: 6 });
  t.equal((await stock.reserve({ orderId: uuidv7(), items: lines, expiresAt: inAnHour() }, shop.call())).outcome, 'reserved');
  t.equal((await get(productId)).body.available, 0);
});

void t.test('what is not held cannot be committed', async (t) => {
  const { id: productId } = await shop.product({ stock: 1 });
  const [never, soldOut, released] = [uuidv7(), uuidv7(), await reserved(productId, 1)];
  await stock.release({ orderId: released }, shop.call());
  await stock.reserve({ orderId: soldOut, items: [{ productId, quantity: 2 }], expiresAt: inAnHour() }, shop.call());

  for (const orderId of [never, soldOut, released]) {
    const error = await stock.commit({ orderId }, shop.call()).catch((thrown: unknown) => thrown);
    t.ok(isRefusal(error, inventory, 'RESERVATION_NOT_HELD'), String(error));
  }
  t.equal((await get(productId)).body.available, 1);
});

void t.test('a deleted product is gone, but orders of it that are under way are served', async (t) => {
  const { id: productId } = await shop.product({ stock: 5 });
  const orderId = await reserved(productId, 2);

  t.equal((await shop.request('DELETE', `/api/v1/products/${productId}`, { token: admin.token })).status, 204);

  await shop.until(async () => (await get(productId)).status === 404, 'inventory to hear of the deletion');
  t.equal((await put(productId, { onHand: 9 })).status, 404);
  await stock.commit({ orderId }, shop.call());
  t.same(await shop.sql('inventory', 'select on_hand, reserved from stock where product_id = $1', [productId]), [{ on_hand: 3, reserved: 0 }]);
});

void t.test('a deleted product is gone at once, also while its event is on its way; a catalog that is down hides no stock', async (t) => {
  const { id: productId } = await shop.product({ stock: 5 });
  const { gate } = shop.module('catalog');
  await gate.close();
  t.match(await get(productId), { status: 200, body: { available: 5 } });
  gate.open();

  const release = await hold('select from inventory.stock where product_id = $1 for update', productId);
  t.equal((await shop.request('DELETE', `/api/v1/products/${productId}`, { token: admin.token })).status, 204);
  t.equal((await get(productId)).status, 404);
  t.equal((await put(productId, { onHand: 9 })).status, 404);
  await release();
});

void t.test('a catalog that is slow is waited for where nothing else is known', async (t) => {
  const body = { name: 'Not heard of yet', description: 'For a test', price: { amount: 100, currency: 'USD' } };
  const { id } = (await shop.request('POST', '/api/v1/products', { token: admin.token, body })).body;
  await shop.until(async () => (await shop.sql('inventory', 'delete from stock where product_id = $1 returning 1', [id])).length === 1, 'inventory to hear of the product');
  const release = await hold('lock table catalog.product in access exclusive mode');
  const asked = performance.now();
  const answer = put(id, { onHand: 3 });
  await shop.until(() => performance.now() - asked > 400, 'the short patience to be over');
  await release();
  t.equal((await answer).status, 200);
});

/** Takes a lock as somebody else, e.g. to keep inventory from hearing of a product. */
async function hold(lock: string, ...params: string[]): Promise<() => Promise<void>> {
  const client = new pg.Client(shop.adminUrl);
  await client.connect();
  await client.query('begin');
  await client.query(lock, params);
  return async () => client.end();
}

void t.test('stock that nobody pays for in time is free again, and the order hears of it', async (t) => {
  const { id: productId } = await shop.product({ stock: 2 });
  const orderId = uuidv7();
  const items = [{ productId, quantity: 2 }];
  t.equal((await stock.reserve({ orderId, items, expiresAt: new Date(Date.now() + 50).toISOString() }, shop.call())).outcome, 'reserved');

  await shop.until(async () => (await get(productId)).body.available === 2, 'the reservation to expire');

  t.same(await published(orderId), [{ type: 'inventory.reservation-expired.v1', data: { orderId } }]);
  await t.rejects(stock.commit({ orderId }, shop.call()), { code: 'RESERVATION_NOT_HELD' });
  t.same(await stock.reserve({ orderId, items, expiresAt: inAnHour() }, shop.call()), { outcome: 'released', missing: [] });
  await stock.release({ orderId }, shop.call());
  t.equal((await get(productId)).body.available, 2, 'releasing what has expired frees nothing twice');
});

void t.test('the books balance', async (t) => {
  t.same(await imbalances(shop), []);
  // The next test starts a shop of its own: two at once would need twice the connections.
  await shop.stop();
});

void t.test('a demo shop has stock of every product, also where another process owns the catalog', async (t) => {
  const database = shop.isOneProcess ? await cloneDatabase() : undefined;
  if (database) {
    t.teardown(async () => database.drop());
    const owner = new pg.Client(database.adminUrl);
    await owner.connect();
    t.teardown(async () => owner.end());
    await owner.query(`select pg_advisory_lock(hashtextextended('cleave:owner:catalog', 0))`);
  }
  const demo = await testShop(t, { settings: { SEED_DEMO: 'true' }, ...(database && { database }) });
  const { items } = await demo.client(catalog).listProducts({ limit: 500 }, demo.call());
  const rows = await demo.sql<{ product_id: string; on_hand: number }>('inventory', 'select product_id, on_hand from stock');
  const stocked = new Map(rows.map((row) => [row.product_id, row.on_hand]));
  t.ok(items.length >= 200);
  t.equal(stocked.size, items.length);
  t.same(items.map(({ id }) => stocked.get(id)), items.map((_, position) => demoStock(position)));
  t.same(await imbalances(demo), []);
});
