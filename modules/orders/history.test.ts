/** What happened to an order, in all modules that have a part in it, each fact once and in the order in which it happened. */
import t, { type Test } from 'tap';
import { uuidv7 } from '#kernel';
import { type Reply, type SignedIn, testShop } from '#testing';
import { orders } from './contract.ts';

/** While it lasts, orders hears of nothing that others publish. */
let silence: Promise<void> | undefined;
const probe = async (point: string): Promise<void> => {
  if (point.startsWith('event:orders.fulfilment:') && point.endsWith(':before')) await silence;
};
const shop = await testShop(t, { probe, settings: { RESERVATION_EXPIRY_INTERVAL_MS: '100', SAGA_RETRY_BASE_MS: '20', SAGA_RETRY_MAX_MS: '100' } });
const shippingAddress = { name: 'Ada Lovelace', line1: '12 St James Square', city: 'London', postalCode: 'SW1Y 4JH', country: 'GB' };
const admin = await shop.admin();
const customer = await shop.customer();
const product = await shop.product({ price: 2_500 });

interface Entry {
  readonly at: string;
  readonly event: string;
  readonly detail: string;
}

async function place(cardToken?: string): Promise<string> {
  const payment = cardToken === undefined ? {} : { payment: { method: 'card', cardToken } };
  const { body } = await shop.request('POST', '/api/v1/orders', { token: customer.token, body: { items: [{ productId: product.id, quantity: 2 }], shippingAddress, ...payment } });
  return body.id;
}

/** But for what the customer was told, which comes in its own time. */
async function history(id: string): Promise<readonly Entry[]> {
  const { body } = await shop.request('GET', `/api/v1/orders/${id}/history`, { token: customer.token });
  return body.filter(({ event }: Entry) => !event.startsWith('message_'));
}

/** The history once it tells of all this, and of nothing else. */
async function untilTells(t: Pick<Test, 'same'>, id: string, events: readonly string[]): Promise<readonly Entry[]> {
  let last: readonly Entry[] = [];
  const told = async () => {
    last = await history(id);
    return last.length >= events.length && last;
  };
  const entries = await shop.until(told, `${events.length} entries`).catch(() => last);
  t.same(entries.map(({ event }) => event), events);
  return entries;
}

async function untilStatus(id: string, status: string): Promise<void> {
  await shop.until(async () => (await shop.request('GET', `/api/v1/orders/${id}`, { token: customer.token })).body.status === status, `order ${id} to be ${status}`);
}

async function asAdmin(path: string, body?: object): Promise<Reply> {
  return shop.request('POST', `/api/v1${path}`, { token: admin.token, ...(body && { body }) });
}

async function shipmentOf(orderId: string): Promise<{ id: string; trackingNumber: string }> {
  return (await shop.request('GET', `/api/v1/shipments?orderId=${orderId}`, { token: admin.token })).body.items[0];
}

/** What others have published of an order, by when it happened there. */
async function published(id: string): Promise<Pick<Entry, 'at' | 'event'>[]> {
  const outboxes = ['payments_outbox', 'shipping_outbox', 'inventory_outbox'];
  const select = `select data->>'occurredAt' as at, replace(split_part(data->>'type', '.', 2), '-', '_') as event from job where name = 'events' and data->>'aggregateId' = $1`;
  const events = await Promise.all(outboxes.map(async (outbox) => shop.sql<Pick<Entry, 'at' | 'event'>>(outbox, select, [id])));
  return events.flat().toSorted((one, other) => Date.parse(one.at) - Date.parse(other.at));
}

const PAID = ['payment_completed', 'order_paid', 'stock_committed', 'order_confirmed'];
const SENT = ['shipment_dispatched', 'order_shipped', 'shipment_delivered', 'order_delivered'];

t.test('an order that is paid, shipped and delivered', async (t) => {
  const id = await place('tok_visa');
  await untilStatus(id, 'confirmed');
  const shipment = await shipmentOf(id);
  for (const [verb, status] of [['dispatch', 'shipped'], ['deliver', 'delivered']] as const) {
    await asAdmin(`/shipments/${shipment.id}/${verb}`);
    await untilStatus(id, status);
  }
  const entries = await untilTells(t, id, ['order_placed', 'stock_reserved', ...PAID, ...SENT]);
  const detailOf = (event: string) => entries.find((entry) => entry.event === event)!.detail;
  t.match(detailOf('payment_completed'), /^50\.00 USD: transaction /);
  t.equal(detailOf('shipment_dispatched'), shipment.trackingNumber);
});

t.test('an order whose customer is declined first and pays then', async (t) => {
  const id = await place();
  await untilStatus(id, 'awaiting_payment');
  for (const cardToken of ['tok_declined', 'tok_insufficient_funds', 'tok_visa']) {
    await shop.request('POST', '/api/v1/payments', { token: customer.token, body: { orderId: id, method: 'card', cardToken } });
  }
  await untilStatus(id, 'confirmed');
  await untilTells(t, id, ['order_placed', 'stock_reserved', 'awaiting_payment', 'payment_failed', 'payment_failed', ...PAID]);
});

t.test('an order that is declined', async (t) => {
  const id = await place('tok_declined');
  const entries = await untilTells(t, id, ['order_placed', 'stock_reserved', 'payment_failed', 'order_cancelled', 'stock_released', 'compensated']);
  t.match(entries[3], { detail: 'PAYMENT_DECLINED' });
});

t.test('an order that nobody pays', async (t) => {
  const id = await place();
  await untilStatus(id, 'awaiting_payment');
  await shop.sql('orders_outbox', 'update saga set wake_at = now() where id = $1', [id]);
  await untilTells(t, id, ['order_placed', 'stock_reserved', 'awaiting_payment', 'order_cancelled', 'stock_released', 'compensated']);
});

t.test('an order that is more than there is has reserved nothing that could be free again', async (t) => {
  const { id: rare } = await shop.product({ stock: 1 });
  const { body } = await shop.request('POST', '/api/v1/orders', { token: customer.token, body: { items: [{ productId: rare, quantity: 2 }], shippingAddress } });
  await untilTells(t, body.id, ['order_placed', 'out_of_stock', 'order_rejected', 'compensated']);
});

t.test('an order that is cancelled, and whose money is given back', async (t) => {
  const id = await place('tok_visa');
  await untilStatus(id, 'confirmed');
  t.equal((await asAdmin(`/orders/${id}/cancel`)).status, 200);
  const entries = await untilTells(t, id, ['order_placed', 'stock_reserved', ...PAID, 'shipment_cancelled', 'order_cancelled', 'payment_refunded', 'stock_released', 'compensated']);
  t.match(entries.find(({ event }) => event === 'payment_refunded'), { detail: '50.00 USD: The order was cancelled' });
});

t.test('an order whose reservation runs out', async (t) => {
  const id = await place();
  await untilStatus(id, 'awaiting_payment');
  await shop.sql('inventory', `update reservation set expires_at = now() where order_id = $1`, [id]);
  const entries = await untilTells(t, id, ['order_placed', 'stock_reserved', 'awaiting_payment', 'reservation_expired', 'order_cancelled', 'compensated']);
  t.match(entries[4], { detail: 'RESERVATION_EXPIRED' });
});

t.test('money that is given back in parts is told of part by part', async (t) => {
  const id = await place('tok_visa');
  await untilStatus(id, 'confirmed');
  const { body } = await shop.request('GET', `/api/v1/payments?orderId=${id}`, { token: customer.token });
  for (const amount of [100, 250]) {
    const reply = await asAdmin(`/payments/${body.items[0].id}/refund`, { amount: { amount, currency: 'USD' }, reason: 'scratched' });
    t.equal(reply.status, 201);
  }
  const entries = await untilTells(t, id, ['order_placed', 'stock_reserved', ...PAID, 'payment_refunded', 'payment_refunded']);
  t.same(entries.slice(-2).map(({ detail }) => detail), ['1.00 USD: scratched', '2.50 USD: scratched']);
});

t.test('what orders hears of late stands where and when it happened', async (t) => {
  const over = Promise.withResolvers<void>();
  silence = over.promise;
  t.teardown(() => over.resolve());
  const [sent, cancelled, declined, expired] = [await place('tok_visa'), await place('tok_visa'), await place('tok_declined'), await place()];
  await untilStatus(sent, 'confirmed');
  const { body } = await shop.request('GET', `/api/v1/payments?orderId=${sent}`, { token: customer.token });
  await asAdmin(`/payments/${body.items[0].id}/refund`, { amount: { amount: 100, currency: 'USD' }, reason: 'scratched' });
  const shipment = await shipmentOf(sent);
  for (const verb of ['dispatch', 'deliver']) t.equal((await asAdmin(`/shipments/${shipment.id}/${verb}`)).status, 200);
  await untilStatus(cancelled, 'confirmed');
  t.equal((await asAdmin(`/orders/${cancelled}/cancel`)).status, 200);
  await untilStatus(declined, 'cancelled');
  await untilStatus(expired, 'awaiting_payment');
  await shop.sql('inventory', `update reservation set expires_at = now() where order_id = $1`, [expired]);

  const happened = new Map([
    [sent, ['payment_completed', 'payment_refunded', 'shipment_dispatched', 'shipment_delivered']],
    [cancelled, ['payment_completed', 'shipment_cancelled', 'payment_refunded']],
    [declined, ['payment_failed']],
    [expired, ['reservation_expired']],
  ]);
  for (const [id, events] of happened) {
    await shop.until(async () => (await published(id)).length === events.length, `${events.join()} to be published`);
    t.same((await history(id)).filter(({ event }) => events.includes(event)), [], 'nobody has told orders');
  }
  over.resolve();
  for (const [id, events] of happened) {
    const reports = async () => (await history(id)).filter(({ event }) => events.includes(event));
    await shop.until(async () => (await reports()).length === events.length, `${events.join()} to be told of`);
    t.same((await reports()).map(({ event }) => event), events);
    t.same((await reports()).map(({ at, event }) => ({ at, event })), await published(id));
  }
  await untilTells(t, cancelled, ['order_placed', 'stock_reserved', ...PAID, 'shipment_cancelled', 'order_cancelled', 'payment_refunded', 'stock_released', 'compensated']);
  await untilTells(t, declined, ['order_placed', 'stock_reserved', 'payment_failed', 'order_cancelled', 'stock_released', 'compensated']);
});

t.test('an event that comes again is not told of again, though nobody remembers that it was handled', async (t) => {
  const id = await place('tok_visa');
  await untilStatus(id, 'confirmed');
  await asAdmin(`/orders/${id}/cancel`);
  const once = await untilTells(t, id, ['order_placed', 'stock_reserved', ...PAID, 'shipment_cancelled', 'order_cancelled', 'payment_refunded', 'stock_released', 'compensated']);
  const intake = shop.module('orders').intakes.get('orders.fulfilment')!;
  for (const publisher of ['payments', 'shipping']) {
    const events = await shop.sql<{ data: Parameters<typeof intake.handle>[0][number] }>(`${publisher}_outbox`, `select data from job where data->>'aggregateId' = $1 order by id`, [id]);
    t.ok(events.length > 0);
    for (const { data } of events) {
      t.match(await intake.handle([data]), [{ outcome: 'handled' }]);
      await shop.sql('orders_outbox', 'delete from inbox where event_id = $1', [data.id]);
      t.match(await intake.handle([data]), [{ outcome: 'handled' }]);
    }
  }
  t.same(await history(id), once);
});

t.test('what other modules put on record stands there once, at its time, as it was said first', async (t) => {
  const id = await place();
  await untilStatus(id, 'awaiting_payment');
  const client = shop.client(orders);
  const [first, ...others] = await history(id);
  const fact = { factId: uuidv7(), orderId: id, at: new Date(Date.parse(first!.at) - 1_000).toISOString(), event: 'ticket_opened', detail: 'Ticket 1: asked' } as const;
  const again = { ...fact, at: new Date().toISOString(), detail: 'Ticket 1: asked once more' };
  const strange = { ...fact, factId: uuidv7(), orderId: uuidv7() };
  const late = { ...fact, factId: uuidv7(), at: new Date().toISOString(), event: 'ticket_closed', detail: '' } as const;

  t.same(await client.recordFacts({ facts: [strange, fact, late] }, shop.call()), { withoutOrder: [strange.factId] }, 'an order that does not exist keeps nothing from the others');
  const replies = await Promise.all(Array.from({ length: 5 }, async () => client.recordFacts({ facts: [again, late, again] }, shop.call())));
  t.same(replies, replies.map(() => ({ withoutOrder: [] })));
  const entry = ({ at, event, detail }: Entry) => ({ at, event, detail });
  t.same(await history(id), [entry(fact), first, ...others, entry(late)]);
});

t.test('nothing is put on record that looks like another entry, or like two', async (t) => {
  const id = await place();
  const fact = { factId: uuidv7(), orderId: id, at: new Date().toISOString(), event: 'message_sent', detail: 'e-mail: Hello' } as const;
  const more = Array.from({ length: 501 }, () => ({ ...fact, factId: uuidv7() }));
  for (const facts of [[{ ...fact, event: 'stock_reserved' }], [{ ...fact, detail: 'a\nb' }], [{ ...fact, detail: 'x'.repeat(301) }], [], more]) {
    await t.rejects(shop.client(orders).recordFacts({ facts: facts as never }, shop.call()), { code: 'VALIDATION_FAILED' });
  }
});

t.test('whose order it is, and staff, may know', async (t) => {
  const id = await place();
  const [stranger, support] = [await shop.customer(), await shop.support()];
  const statusFor = async (who?: SignedIn) => (await shop.request('GET', `/api/v1/orders/${id}/history`, who && { token: who.token })).status;
  t.same(await Promise.all([statusFor(customer), statusFor(support), statusFor(admin), statusFor(stranger), statusFor()]), [200, 200, 200, 404, 401]);
});
