import pg from 'pg';
import t from 'tap';
import { uuidv7 } from '#kernel';
import { testShop } from '#testing';
import { shipping } from './contract.ts';
import { isTrackingNumber } from './tracking-number.ts';

const shop = await testShop(t, { settings: { SHIPPING_COUNTRIES: 'DE, FR' } });
const client = shop.client(shipping);
const [admin, support, ada, bob] = [await shop.admin(), await shop.support(), await shop.customer(), await shop.customer()];

const address = { name: 'Ada Lovelace', line1: 'Analytical Way 1', city: 'Berlin', postalCode: '10115', country: 'DE' };
const items = [{ productId: uuidv7(), name: 'Kettle', quantity: 2 }];

const get = async (path: string, user: { token: string }) => shop.request('GET', `/api/v1/shipments${path}`, { token: user.token });
const post = async (id: string, action: 'dispatch' | 'deliver', user: { token: string } = admin) =>
  shop.request('POST', `/api/v1/shipments/${id}/${action}`, { token: user.token });
const create = async (orderId: string, customer = ada, country = 'DE') =>
  client.createShipment({ orderId, customerId: customer.id, address: { ...address, country }, items }, shop.call());
const cancel = async (orderId: string) => (await client.cancelShipment({ orderId, reason: 'CUSTOMER_REQUEST' }, shop.call())).outcome;

async function shipped(customer = ada): Promise<{ orderId: string; id: string; trackingNumber: string }> {
  const orderId = uuidv7();
  const { shipmentId, trackingNumber } = await create(orderId, customer);
  return { orderId, id: shipmentId!, trackingNumber: trackingNumber! };
}

async function published(orderId: string): Promise<string[]> {
  const rows = await shop.sql<{ type: string }>(
    'shipping_outbox',
    `select data->>'type' as type from job where name = 'events' and data->>'aggregateId' = $1 order by id`,
    [orderId],
  );
  return rows.map(({ type }) => type);
}

/** Another process of the shop in the middle of a transaction. */
async function rival(t: { teardown(action: () => Promise<void>): void }): Promise<pg.Client> {
  const other = new pg.Client({ connectionString: shop.adminUrlOf('shipping'), options: '-c search_path=shipping' });
  await other.connect();
  t.teardown(async () => other.end());
  await other.query('begin');
  return other;
}

async function untilBlocked(count = 1): Promise<void> {
  const waiting = `select count(*) as waiting from pg_stat_activity
    where datname = current_database() and application_name = 'cleave:shipping' and wait_event_type = 'Lock'`;
  await shop.until(async () => (await shop.sql<{ waiting: number }>('shipping', waiting))[0]!.waiting >= count, `${count} statements that wait for a lock`);
}

/** Starts work that will block; its outcome is awaited later. */
function begun<T>(work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  return work;
}

void t.test('a parcel goes from preparation to the door', async (t) => {
  const { orderId, id, trackingNumber } = await shipped();
  t.ok(isTrackingNumber(trackingNumber), trackingNumber);

  const preparing = await get(`/${id}`, ada);
  t.equal(preparing.status, 200);
  t.match(preparing.body, { id, orderId, customerId: ada.id, status: 'preparing', trackingNumber, address, items, cancelReason: null });
  t.match(preparing.body, { dispatchedAt: null, deliveredAt: null, cancelledAt: null });

  const dispatched = await post(id, 'dispatch');
  t.equal(dispatched.status, 200);
  t.equal(dispatched.body.status, 'dispatched');
  t.ok(dispatched.body.dispatchedAt >= preparing.body.createdAt, 'it left after it was made');

  const delivered = await post(id, 'deliver');
  t.equal(delivered.status, 200);
  t.match(delivered.body, { status: 'delivered', dispatchedAt: dispatched.body.dispatchedAt, cancelledAt: null });
  t.same((await get(`/${id}`, ada)).body, delivered.body);
  t.same(await published(orderId), ['shipping.shipment-dispatched.v1', 'shipping.shipment-delivered.v1']);
});

void t.test('a parcel takes no step twice and none out of turn', async (t) => {
  const { orderId, id } = await shipped();
  const early = await post(id, 'deliver');
  t.match(early, { status: 409, body: { code: 'SHIPMENT_NOT_DISPATCHED' } });
  await post(id, 'dispatch');
  t.match(await post(id, 'dispatch'), { status: 409, body: { code: 'SHIPMENT_NOT_PREPARING' } });
  await post(id, 'deliver');
  t.match(await post(id, 'deliver'), { status: 409, body: { code: 'SHIPMENT_NOT_DISPATCHED' } });
  t.match(await post(id, 'dispatch'), { status: 409, body: { code: 'SHIPMENT_NOT_PREPARING' } });
  t.equal((await published(orderId)).length, 2);
});

void t.test('one order has one shipment, however often and at once it is asked for', async (t) => {
  const orderId = uuidv7();
  const answers = await Promise.all(Array.from({ length: 8 }, async () => create(orderId)));
  t.equal(answers[0]!.outcome, 'created');
  for (const answer of answers) t.same(answer, answers[0]);
  t.same(await create(orderId), answers[0]);
  t.equal((await get(`?orderId=${orderId}`, ada)).body.items.length, 1);
});

void t.test('customers see their own shipments, staff see all, others see nothing', async (t) => {
  const [first, second, third] = [await shipped(bob), await shipped(bob), await shipped(ada)];

  const own = await get('', bob);
  t.equal(own.status, 200);
  t.same(own.body.items.map((item: { id: string }) => item.id), [second.id, first.id], 'newest first');
  t.equal(own.body.nextCursor, null);
  t.same((await get(`?orderId=${third.orderId}`, bob)).body, { items: [], nextCursor: null });
  for (const staff of [support, admin]) {
    t.equal((await get(`?orderId=${first.orderId}`, staff)).body.items[0].id, first.id);
    t.equal((await get(`/${first.id}`, staff)).status, 200);
    t.ok((await get('?limit=100', staff)).body.items.length > own.body.items.length);
  }
  for (const missing of [await get(`/${first.id}`, ada), await get(`/${uuidv7()}`, ada), await post(uuidv7(), 'dispatch')]) {
    t.match(missing, { status: 404, body: { code: 'SHIPMENT_NOT_FOUND' } });
  }
  t.equal((await shop.request('GET', '/api/v1/shipments')).status, 401);
  for (const user of [bob, support]) t.equal((await post(first.id, 'dispatch', user)).status, 403);
});

void t.test('a list is read page by page', async (t) => {
  const carol = await shop.customer();
  const made = [await shipped(carol), await shipped(carol), await shipped(carol)];
  const seen: string[] = [];
  let cursor: string | null = null;
  do {
    const page = await get(`?limit=2${cursor ? `&cursor=${cursor}` : ''}`, carol);
    seen.push(...page.body.items.map((item: { id: string }) => item.id));
    cursor = page.body.nextCursor;
  } while (cursor);
  t.same(seen, made.map(({ id }) => id).reverse());
});

void t.test('malformed questions are refused at the door', async (t) => {
  const forged = Buffer.from('["not an id"]').toString('base64url');
  const paths = ['?limit=0', '?limit=101', '?orderId=7', '?cursor=%00', `?cursor=${forged}`, '?status=x', '/7'];
  for (const path of paths) t.equal((await get(path, ada)).status, 400, path);
  t.equal((await post('7', 'dispatch')).status, 400);
  const forLabel = { ...address, name: 'Ada\u0000' };
  const bad = client.createShipment({ orderId: uuidv7(), customerId: ada.id, address: forLabel, items }, shop.call());
  await t.rejects(bad, { code: 'VALIDATION_FAILED' });
});

void t.test('a shipment that has not left can be cancelled', async (t) => {
  const { orderId, id } = await shipped();

  t.equal(await cancel(orderId), 'cancelled');
  t.equal(await cancel(orderId), 'cancelled');

  t.match((await get(`/${id}`, ada)).body, { status: 'cancelled', cancelReason: 'CUSTOMER_REQUEST', dispatchedAt: null });
  t.match(await post(id, 'dispatch'), { status: 409, body: { code: 'SHIPMENT_NOT_PREPARING' } });
  t.same(await create(orderId), { outcome: 'cancelled', shipmentId: null, trackingNumber: null });
  t.same(await published(orderId), ['shipping.shipment-cancelled.v1'], 'once');
});

void t.test('a parcel that has left cannot be called back', async (t) => {
  const { orderId, id } = await shipped();
  await post(id, 'dispatch');
  t.equal(await cancel(orderId), 'dispatched');
  await post(id, 'deliver');
  t.equal(await cancel(orderId), 'dispatched');
  t.equal((await get(`/${id}`, ada)).body.status, 'delivered');
});

void t.test('a cancellation that comes before the shipment prevents it, and nobody sees a trace of it', async (t) => {
  const orderId = uuidv7();
  t.equal(await cancel(orderId), 'cancelled');
  t.same(await create(orderId), { outcome: 'cancelled', shipmentId: null, trackingNumber: null });
  t.equal(await cancel(orderId), 'cancelled');
  t.same((await get(`?orderId=${orderId}`, admin)).body.items, []);
  const [tombstone] = await shop.sql<{ id: string; address: unknown }>('shipping', 'select id, address from shipment where order_id = $1', [orderId]);
  t.equal(tombstone!.address, null);
  t.equal((await get(`/${tombstone!.id}`, admin)).status, 404);
  t.equal((await post(tombstone!.id, 'dispatch')).status, 404);
  t.same(await published(orderId), []);
});

void t.test('where the shop does not deliver, the shipment is refused', async (t) => {
  const orderId = uuidv7();
  const refused = { outcome: 'refused', shipmentId: null, trackingNumber: null };
  t.same(await create(orderId, ada, 'US'), refused);
  t.same(await create(orderId, ada, 'DE'), refused, 'the first answer stands');
  t.same((await get(`?orderId=${orderId}`, admin)).body.items, []);
  t.equal(await cancel(orderId), 'cancelled');
  t.same(await create(orderId, ada, 'US'), { outcome: 'cancelled', shipmentId: null, trackingNumber: null });
  t.same(await published(orderId), []);
  t.equal((await create(uuidv7(), ada, 'FR')).outcome, 'created');
});

void t.test('dispatch and cancellation at once: exactly one wins', async (t) => {
  for (const first of ['dispatch', 'cancel'] as const) {
    const { orderId, id } = await shipped();
    const holder = await rival(t);
    await holder.query('select from shipment where id = $1 for update', [id]);

    // Waiting for one row lock is first come, first served.
    const start = { dispatch: async () => post(id, 'dispatch'), cancel: async () => cancel(orderId) };
    const winner = begun<unknown>(start[first]());
    await untilBlocked(1);
    const loser = begun<unknown>(start[first === 'dispatch' ? 'cancel' : 'dispatch']());
    await untilBlocked(2);
    await holder.query('commit');
    await Promise.all([winner, loser]);

    const { status } = (await get(`/${id}`, admin)).body;
    if (first === 'dispatch') {
      t.match([await winner, await loser], [{ status: 200 }, 'dispatched']);
      t.equal(status, 'dispatched');
      t.same(await published(orderId), ['shipping.shipment-dispatched.v1']);
    } else {
      t.match([await winner, await loser], ['cancelled', { status: 409, body: { code: 'SHIPMENT_NOT_PREPARING' } }]);
      t.equal(status, 'cancelled');
      t.same(await published(orderId), ['shipping.shipment-cancelled.v1']);
    }
  }
});

void t.test('creation and cancellation at once: the shipment ends cancelled, whichever came first', async (t) => {
  const creating = await rival(t);
  const orderId = uuidv7();
  await creating.query(
    `insert into shipment (id, order_id, status, customer_id, tracking_number, address, items) values ($1, $2, 'preparing', $3, $4, $5, $6)`,
    [uuidv7(), orderId, ada.id, `CL-${orderId}`, JSON.stringify(address), JSON.stringify(items)],
  );
  const cancelling = begun(cancel(orderId));
  await untilBlocked();
  await creating.query('commit');
  t.equal(await cancelling, 'cancelled');
  t.equal((await get(`?orderId=${orderId}`, ada)).body.items[0].status, 'cancelled');

  const burying = await rival(t);
  const other = uuidv7();
  await burying.query(`insert into shipment (id, order_id, status, cancelled_at) values ($1, $2, 'cancelled', now())`, [uuidv7(), other]);
  const late = begun(create(other));
  await untilBlocked();
  await burying.query('commit');
  t.same(await late, { outcome: 'cancelled', shipmentId: null, trackingNumber: null });
});
