/** Orders through the public door: every way that an order can go. */
import pg from 'pg';
import t from 'tap';
import { createIdempotency } from '#kernel';
import { type Reply, type SignedIn, testShop } from '#testing';
import { catalog } from '../catalog/contract.ts';
import { shipping } from '../shipping/contract.ts';
import { Orders } from './orders.ts';

/** Where a test holds the shop up. */
let stopAt: (point: string) => Promise<void> | void = () => undefined;
const shop = await testShop(t, { probe: (point) => stopAt(point), settings: { PAYMENT_TIMEOUT: '2s', PAYMENT_GATEWAY_TIMEOUT_MS: '200', SAGA_RETRY_BASE_MS: '20', SAGA_RETRY_MAX_MS: '100', EVENT_RETRY_MAX_MS: '500', EVENT_MAX_ATTEMPTS: '100' } });
const shippingAddress = { name: 'Ada Lovelace', line1: '12 St James Square', city: 'London', postalCode: 'SW1Y 4JH', country: 'GB' };
const admin = await shop.admin();

/** What moves an order that is in `status`. */
interface Mover {
  readonly cardToken?: string;
  readonly status: string;
  start(orderId: string, token: string): Promise<unknown>;
}

interface OrderInput {
  items: { productId: string; quantity: number }[];
  cardToken?: string;
  headers?: Record<string, string>;
}

async function place(token: string, { items, cardToken, headers }: OrderInput): Promise<Reply> {
  const payment = cardToken && { method: 'card', cardToken };
  return shop.request('POST', '/api/v1/orders', { token, ...(headers && { headers }), body: { items, shippingAddress, ...(payment && { payment }) } });
}

async function untilStatus(token: string, id: string, status: string): Promise<Reply['body']> {
  return shop.until(async () => {
    const { body } = await shop.request('GET', `/api/v1/orders/${id}`, { token });
    return body.status === status && body;
  }, `order ${id} to be ${status}`);
}

async function stock(productId: string): Promise<{ on_hand: number; reserved: number }> {
  const [row] = await shop.sql<{ on_hand: number; reserved: number }>('inventory', 'select on_hand, reserved from stock where product_id = $1', [productId]);
  return row!;
}

async function events(token: string, id: string): Promise<string[]> {
  const { body } = await shop.request('GET', `/api/v1/orders/${id}/history`, { token });
  // What the customer was told comes in its own time.
  return body.map((entry: { event: string }) => entry.event).filter((event: string) => !event.startsWith('message_'));
}

t.test('an order with a card is charged, confirmed, shipped and delivered', async (t) => {
  const customer = await shop.customer();
  const product = await shop.product({ stock: 10, price: 2500 });
  const placed = await place(customer.token, { items: [{ productId: product.id, quantity: 1 }, { productId: product.id, quantity: 1 }], cardToken: 'tok_visa' });
  t.equal(placed.status, 201);
  t.match(placed.body, { status: 'pending', customerId: customer.id, total: { amount: 5000, currency: 'USD' }, items: [{ quantity: 2 }] });
  await untilStatus(customer.token, placed.body.id, 'confirmed');
  t.strictSame(await stock(product.id), { on_hand: 8, reserved: 0 });
  const shipments = await shop.request('GET', `/api/v1/shipments?orderId=${placed.body.id}`, { token: customer.token });
  const shipment = shipments.body.items[0];
  t.equal((await shop.request('POST', `/api/v1/shipments/${shipment.id}/dispatch`, { token: admin.token })).status, 200);
  await untilStatus(customer.token, placed.body.id, 'shipped');
  t.match(await shop.request('POST', `/api/v1/orders/${placed.body.id}/cancel`, { token: customer.token }), { status: 409, body: { code: 'ORDER_NOT_CANCELLABLE' } });
  t.equal((await shop.request('POST', `/api/v1/shipments/${shipment.id}/deliver`, { token: admin.token })).status, 200);
  await untilStatus(customer.token, placed.body.id, 'delivered');
  t.strictSame(await events(customer.token, placed.body.id), ['order_placed', 'stock_reserved', 'payment_completed', 'order_paid', 'stock_committed', 'order_confirmed', 'shipment_dispatched', 'order_shipped', 'shipment_delivered', 'order_delivered']);
});

t.test('an order without a card waits for its payment', async (t) => {
  const customer = await shop.customer();
  const product = await shop.product({ stock: 3 });
  const placed = await place(customer.token, { items: [{ productId: product.id, quantity: 3 }] });
  const paid = await shop.request('POST', '/api/v1/payments', { token: customer.token, body: { orderId: placed.body.id, method: 'card', cardToken: 'tok_visa' } });
  t.match(paid, { status: 201, body: { orderId: placed.body.id, status: 'completed' } });
  await untilStatus(customer.token, placed.body.id, 'confirmed');
  t.ok((await events(customer.token, placed.body.id)).includes('awaiting_payment'));
});

t.test('an order that is not paid in time is cancelled and its stock is free again', async (t) => {
  const customer = await shop.customer();
  const product = await shop.product({ stock: 3 });
  const placed = await place(customer.token, { items: [{ productId: product.id, quantity: 3 }] });
  await untilStatus(customer.token, placed.body.id, 'awaiting_payment');
  t.strictSame(await stock(product.id), { on_hand: 3, reserved: 3 });
  t.match(await untilStatus(customer.token, placed.body.id, 'cancelled'), { statusReason: 'PAYMENT_TIMEOUT' });
  await shop.until(async () => (await stock(product.id)).reserved === 0, 'the stock to be free');
  const late = await shop.request('POST', '/api/v1/payments', { token: customer.token, body: { orderId: placed.body.id, method: 'card', cardToken: 'tok_visa' } });
  t.match(late, { status: 409, body: { code: 'ORDER_NOT_PAYABLE' } });
});

t.test('a declined card cancels the order', async (t) => {
  const customer = await shop.customer();
  const product = await shop.product({ stock: 1 });
  const placed = await place(customer.token, { items: [{ productId: product.id, quantity: 1 }], cardToken: 'tok_declined' });
  t.match(await untilStatus(customer.token, placed.body.id, 'cancelled'), { statusReason: 'PAYMENT_DECLINED' });
  await shop.until(async () => (await stock(product.id)).reserved === 0, 'the stock to be free');
});

t.test('a card processor that answers too late has charged once', async (t) => {
  const customer = await shop.customer();
  const product = await shop.product({ stock: 1 });
  const placed = await place(customer.token, { items: [{ productId: product.id, quantity: 1 }], cardToken: 'tok_timeout' });
  await untilStatus(customer.token, placed.body.id, 'confirmed');
  const payments = await shop.request('GET', `/api/v1/payments?orderId=${placed.body.id}`, { token: customer.token });
  t.equal(payments.body.items.filter((payment: { status: string }) => payment.status === 'completed').length, 1);
});

t.test('a card processor that is down leads to a time-out of the payment', async (t) => {
  const customer = await shop.customer();
  const product = await shop.product({ stock: 1 });
  const placed = await place(customer.token, { items: [{ productId: product.id, quantity: 1 }], cardToken: 'tok_gateway_down' });
  t.match(await untilStatus(customer.token, placed.body.id, 'cancelled'), { statusReason: 'PAYMENT_TIMEOUT' });
  await shop.until(async () => (await stock(product.id)).reserved === 0, 'the stock to be free');
});

t.test('what is not there is not sold', async (t) => {
  const customer = await shop.customer();
  const product = await shop.product({ stock: 1 });
  const placed = await place(customer.token, { items: [{ productId: product.id, quantity: 2 }], cardToken: 'tok_visa' });
  t.equal(placed.status, 201);
  t.match(await untilStatus(customer.token, placed.body.id, 'rejected'), { statusReason: 'OUT_OF_STOCK' });
  t.strictSame(await stock(product.id), { on_hand: 1, reserved: 0 });
});

t.test('a confirmed order can be cancelled: stock back, money back', async (t) => {
  const customer = await shop.customer();
  const product = await shop.product({ stock: 5, price: 700 });
  const placed = await place(customer.token, { items: [{ productId: product.id, quantity: 2 }], cardToken: 'tok_visa' });
  await untilStatus(customer.token, placed.body.id, 'confirmed');
  const cancelled = await shop.request('POST', `/api/v1/orders/${placed.body.id}/cancel`, { token: customer.token });
  t.match(cancelled, { status: 200, body: { status: 'cancelled', statusReason: 'CUSTOMER_REQUEST' } });
  await shop.until(async () => (await events(customer.token, placed.body.id)).includes('compensated'), 'the compensation');
  t.strictSame(await stock(product.id), { on_hand: 5, reserved: 0 });
  await shop.until(async () => (await events(customer.token, placed.body.id)).includes('payment_refunded'), 'the refund');
  t.match(await shop.request('POST', `/api/v1/orders/${placed.body.id}/cancel`, { token: customer.token }), { status: 409, body: { code: 'ORDER_NOT_CANCELLABLE' } });
});

t.test('a cancellation succeeds although shipping\'s report ends the order first', async (t) => {
  const customer = await shop.customer();
  const product = await shop.product({ stock: 1 });
  const placed = await place(customer.token, { items: [{ productId: product.id, quantity: 1 }], cardToken: 'tok_visa' });
  await untilStatus(customer.token, placed.body.id, 'confirmed');
  const cancelled = await cancelWhile(customer, placed.body.id, async () => untilStatus(customer.token, placed.body.id, 'cancelled'));
  t.match(cancelled, { status: 'cancelled', statusReason: 'CUSTOMER_REQUEST' });
});

t.test('a cancellation succeeds although the shipment that it forestalled ends the order first', async (t) => {
  const customer = await shop.customer();
  const product = await shop.product({ stock: 1 });
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  stopAt = (point) => (point === 'saga:fulfilment:ship:before' ? released : undefined);
  const placed = await place(customer.token, { items: [{ productId: product.id, quantity: 1 }], cardToken: 'tok_visa' });
  await untilStatus(customer.token, placed.body.id, 'paid');
  const cancelled = await cancelWhile(customer, placed.body.id, async () => {
    release();
    await untilStatus(customer.token, placed.body.id, 'cancelled');
  });
  t.match(cancelled, { status: 'cancelled', statusReason: 'CUSTOMER_REQUEST' });
  await shop.until(async () => (await stock(product.id)).on_hand === 1, 'the piece to be back');
});

/** Cancels an order; `meanwhile` runs between the stop of its shipment and the end of the order. */
async function cancelWhile(customer: SignedIn, orderId: string, meanwhile: () => Promise<unknown>) {
  const { db, parts } = shop.module('orders');
  const service = new Orders({
    db,
    clients: {
      catalog: shop.client(catalog),
      shipping: {
        ...shop.client(shipping),
        async cancelShipment(input, call) {
          const answer = await shop.client(shipping).cancelShipment(input, call);
          await meanwhile();
          return answer;
        },
      },
    },
    fulfilment: parts.sagas![0] as never,
    idempotency: createIdempotency(),
    paymentTimeoutMs: 1_000,
  });
  return service.cancel(orderId, { id: customer.id, role: 'customer' }, shop.call());
}

for (const [what, { cardToken, status, start }] of Object.entries<Mover>({
  'a payment': { status: 'awaiting_payment', start: async (orderId, token) => shop.request('POST', '/api/v1/payments', { token, body: { orderId, method: 'card', cardToken: 'tok_visa' } }) },
  'a shipment that leaves': {
    cardToken: 'tok_visa',
    status: 'confirmed',
    async start(orderId) {
      const { body } = await shop.request('GET', `/api/v1/shipments?orderId=${orderId}`, { token: admin.token });
      return shop.request('POST', `/api/v1/shipments/${body.items[0].id}/dispatch`, { token: admin.token });
    },
  },
  'a shipment that is cancelled': { cardToken: 'tok_visa', status: 'confirmed', start: async (orderId) => shop.client(shipping).cancelShipment({ orderId, reason: 'lost' }, shop.call()) },
  'a step that is given up': { cardToken: 'tok_gateway_down', status: 'pending', start: async () => undefined },
})) {
  t.test(`${what} moves the order before its saga, as the saga does: neither waits for the other`, async (t) => {
    const customer = await shop.customer();
    const product = await shop.product();
    const { body: order } = await place(customer.token, { items: [{ productId: product.id, quantity: 1 }], ...(cardToken && { cardToken }) });
    await untilStatus(customer.token, order.id, status);
    const rival = new pg.Client(shop.adminUrlOf('orders'));
    await rival.connect();
    t.teardown(async () => rival.end());
    await rival.query('begin');
    await rival.query('select from orders.customer_order where id = $1 for no key update', [order.id]);
    await start(order.id, customer.token);
    await shop.until(async () => (await rival.query('select from pg_stat_activity where pg_backend_pid() = any(pg_blocking_pids(pid))')).rowCount, 'somebody to wait for the order');
    t.equal((await rival.query('select from orders_outbox.saga where id = $1 for update skip locked', [order.id])).rowCount, 1, 'nobody holds the saga');
    await rival.query('rollback');
  });
}

t.test('a cancellation that has stopped the parcel and then loses its connection does not claim to have done nothing', async (t) => {
  const customer = await shop.customer();
  const product = await shop.product();
  const { body: order } = await place(customer.token, { items: [{ productId: product.id, quantity: 1 }], cardToken: 'tok_visa' });
  await untilStatus(customer.token, order.id, 'confirmed');
  await shop.sql('orders', `create function cut_off() returns trigger language plpgsql as $$ begin perform pg_terminate_backend(pg_backend_pid()); return new; end $$`);
  await shop.sql('orders', `create trigger cut_off before update on customer_order for each row when (new.status = 'cancelled' and new.id = '${order.id}') execute function cut_off()`);
  const reply = await shop.request('POST', `/api/v1/orders/${order.id}/cancel`, { token: customer.token });
  t.match(reply, { status: 503, body: { code: 'DEADLINE_EXCEEDED' } });
  await shop.sql('orders', 'drop function cut_off cascade');
  await untilStatus(customer.token, order.id, 'cancelled');
  await shop.until(async () => (await stock(product.id)).on_hand === 100, 'the pieces to be back');
});

t.test('a parcel that is faster than the shop\'s own records is delivered all the same', async (t) => {
  const customer = await shop.customer();
  const product = await shop.product();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  stopAt = (point) => (point === 'saga:fulfilment:ship:effected' ? released : undefined);
  const placed = await place(customer.token, { items: [{ productId: product.id, quantity: 1 }], cardToken: 'tok_visa' });
  const shipment = await shop.until(async () => (await shop.request('GET', `/api/v1/shipments?orderId=${placed.body.id}`, { token: admin.token })).body.items[0], 'the shipment');
  for (const verb of ['dispatch', 'deliver']) t.equal((await shop.request('POST', `/api/v1/shipments/${shipment.id}/${verb}`, { token: admin.token })).status, 200);
  const reported = `select 1 from event_delivery where aggregate_id = any($1) union all select 1 from job where data->>'type' = 'shipping.shipment-delivered.v1' and data->'data'->>'orderId' = $2 and state = 'completed'`;
  await shop.until(async () => (await shop.sql('shipping_outbox', reported, [[shipment.id, placed.body.id], placed.body.id])).length > 0, 'orders to hear of the delivery');
  stopAt = () => undefined;
  release();
  await untilStatus(customer.token, placed.body.id, 'delivered');
  t.strictSame((await events(customer.token, placed.body.id)).slice(-3), ['order_confirmed', 'order_shipped', 'order_delivered']);
});

t.test('products that cannot be ordered are named', async (t) => {
  const customer = await shop.customer();
  const product = await shop.product();
  const unknown = '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10';
  const reply = await place(customer.token, { items: [{ productId: product.id, quantity: 1 }, { productId: unknown, quantity: 1 }] });
  t.match(reply, { status: 422, body: { code: 'PRODUCT_NOT_FOUND', productIds: [unknown] } });
});

t.test('a repeated request with its idempotency key replays the first answer', async (t) => {
  const customer = await shop.customer();
  const product = await shop.product();
  const headers = { 'idempotency-key': 'basket-1' };
  const first = await place(customer.token, { items: [{ productId: product.id, quantity: 1 }], headers });
  const second = await place(customer.token, { items: [{ productId: product.id, quantity: 1 }], headers });
  t.equal(second.headers.get('idempotency-replayed'), 'true');
  t.strictSame([second.status, second.body], [201, first.body]);
  t.match(await place(customer.token, { items: [{ productId: product.id, quantity: 2 }], headers }), { status: 422, body: { code: 'IDEMPOTENCY_KEY_REUSED' } });
  const orders = await shop.request('GET', '/api/v1/orders', { token: customer.token });
  t.equal(orders.body.items.length, 1);
});

t.test('someone else\'s order does not exist', async (t) => {
  const [owner, stranger, support] = [await shop.customer(), await shop.customer(), await shop.support()];
  const product = await shop.product();
  const { body } = await place(owner.token, { items: [{ productId: product.id, quantity: 1 }] });
  for (const [method, path] of [['GET', ''], ['GET', '/history'], ['POST', '/cancel']] as const) {
    t.match(await shop.request(method, `/api/v1/orders/${body.id}${path}`, { token: stranger.token }), { status: 404, body: { code: 'ORDER_NOT_FOUND' } });
  }
  t.equal((await shop.request('GET', `/api/v1/orders/${body.id}`, { token: support.token })).status, 200);
  t.equal((await shop.request('POST', `/api/v1/orders/${body.id}/cancel`, { token: support.token })).status, 403);
  t.equal((await shop.request('GET', `/api/v1/orders/${body.id}`)).status, 401);
});

t.test('more of a product than a line may have is not to be had in two lines either', async (t) => {
  const customer = await shop.customer();
  const { id } = await shop.product({ stock: 5_000 });
  const both = (quantity: number) => place(customer.token, { items: [{ productId: id, quantity: 500 }, { productId: id.toUpperCase(), quantity }] });
  t.match(await both(501), { status: 400, body: { code: 'VALIDATION_FAILED', errors: [{ path: '/items' }] } });
  t.match(await both(500), { status: 201, body: { items: [{ quantity: 1_000 }] } });
});

t.test('an order has 50 lines at most', async (t) => {
  const [{ token }, product] = [await shop.customer(), await shop.product({ stock: 100 })];
  const lines = (count: number) => Array.from({ length: count }, () => ({ productId: product.id, quantity: 1 }));
  t.equal((await place(token, { items: lines(50) })).status, 201);
  t.match(await place(token, { items: lines(51) }), { status: 400, body: { code: 'VALIDATION_FAILED', errors: [{ path: '/items' }] } });
});

t.test('an order goes to somebody in a country that exists', async (t) => {
  const customer = await shop.customer();
  const { id } = await shop.product();
  const to = (change: object) => shop.request('POST', '/api/v1/orders', { token: customer.token, body: { items: [{ productId: id, quantity: 1 }], shippingAddress: { ...shippingAddress, ...change } } });
  for (const country of ['UK', 'ZZ', 'gb', 'GBR', '']) t.match(await to({ country }), { status: 400, body: { errors: [{ path: '/shippingAddress/country' }] } }, country);
  t.match(await to({ name: ' \u2003' }), { status: 400, body: { errors: [{ path: '/shippingAddress/name' }] } });
  t.equal((await to({ country: 'CX' })).status, 201);
});

t.test('lists are paged, newest first, and stable under inserts', async (t) => {
  const customer = await shop.customer();
  const product = await shop.product();
  const ids: string[] = [];
  for (let i = 0; i < 5; i += 1) ids.unshift((await place(customer.token, { items: [{ productId: product.id, quantity: 1 }] })).body.id);
  const first = await shop.request('GET', '/api/v1/orders?limit=3', { token: customer.token });
  await place(customer.token, { items: [{ productId: product.id, quantity: 1 }] });
  const second = await shop.request('GET', `/api/v1/orders?limit=3&cursor=${first.body.nextCursor}`, { token: customer.token });
  t.strictSame([...first.body.items, ...second.body.items].map((order) => order.id), ids);
  t.equal(second.body.nextCursor, null);
  t.match(await shop.request('GET', '/api/v1/orders?cursor=bm9uc2Vuc2U', { token: customer.token }), { status: 400, body: { code: 'VALIDATION_FAILED' } });
});
