import t from 'tap';
import { encodeCursor, type EventEnvelope, uuidv7 } from '#kernel';
import { type SignedIn, type TestShop, testShop } from '#testing';
import { orders } from '../orders/contract.ts';
import { notifications } from './contract.ts';

interface Shown {
  readonly id: string;
  readonly channel: string;
  readonly subject: string;
  readonly body: string;
  readonly status: string;
  readonly createdAt: string;
}

const PHONE = '+442079460018';
const shippingAddress = { name: 'Ada', line1: '1 Analytical Way', city: 'London', postalCode: 'N1 9GU', country: 'GB' };
const shop = await testShop(t);

async function placeOrder(customer: SignedIn, cardToken: string): Promise<string> {
  const product = await shop.product({ stock: 10, price: 1999 });
  const body = { items: [{ productId: product.id, quantity: 2 }], shippingAddress, payment: { method: 'card', cardToken } };
  const reply = await shop.request('POST', '/api/v1/orders', { token: customer.token, body });
  if (reply.status !== 201) throw new Error(`the order was not placed: ${JSON.stringify(reply.body)}`);
  return reply.body.id;
}

async function told(customer: SignedIn): Promise<Shown[]> {
  const reply = await shop.request('GET', '/api/v1/notifications?limit=100', { token: customer.token });
  return reply.body.items.toReversed();
}

/** The messages once there are at least `count`, oldest first. */
async function toldAtLeast(customer: SignedIn, count: number): Promise<Shown[]> {
  return shop.until(async () => {
    const messages = await told(customer);
    return messages.length >= count && messages;
  }, `${count} messages`);
}

async function orderIs(customer: SignedIn, orderId: string, status: string): Promise<void> {
  await shop.until(async () => (await shop.request('GET', `/api/v1/orders/${orderId}`, { token: customer.token })).body.status === status, `the order to be ${status}`);
}

/** Sorted: orders and payments publish each in its own order, but not in one with each other. */
function subjects(messages: readonly Shown[]): string[] {
  return messages
    .filter(({ channel }) => channel === 'email')
    .map(({ subject }) => subject.replace(/[0-9A-F]{8}/, '…'))
    .toSorted();
}

/** An event as the orders module's outbox would deliver it. */
function orderPlaced(customerId: string): EventEnvelope {
  const data = { orderId: uuidv7(), customerId, items: [], total: { amount: 100, currency: 'USD' } };
  const traceparent = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;
  return { id: uuidv7(), type: orders.events.orderPlaced.type, aggregateId: data.orderId, occurredAt: new Date().toISOString(), data, traceparent, requestId: 'test' };
}

function deliver(to: TestShop, ...events: EventEnvelope[]) {
  return to.module('notifications').intakes.get('notifications.customer-messages')!.handle(events);
}

void t.test('a customer with a phone is told of each step by e-mail and by text', async (t) => {
  const customer = await shop.customer();
  await shop.request('PATCH', '/api/v1/users/me', { token: customer.token, body: { phone: PHONE } });
  const { token } = await shop.admin();

  const orderId = await placeOrder(customer, 'tok_visa');
  await orderIs(customer, orderId, 'confirmed');
  const shipments = await shop.request('GET', `/api/v1/shipments?orderId=${orderId}`, { token });
  await shop.request('POST', `/api/v1/shipments/${shipments.body.items[0].id}/dispatch`, { token });
  const messages = await toldAtLeast(customer, 6);

  t.same(subjects(messages), ['We received your order …', 'We received your payment for order …', 'Your order … is on its way']);
  t.same(messages.map(({ channel }) => channel).toSorted(), ['email', 'email', 'email', 'sms', 'sms', 'sms']);
  t.ok(messages.every(({ status }) => status === 'sent'), 'kept messages are sent');
  t.ok(messages.every(({ channel, body }) => channel === 'sms' || body.includes(orderId)), 'each e-mail names the order');
  t.ok(messages.some(({ body }) => body.includes('Total: $39.98')));
  const recipients = await shop.sql<{ recipient: string }>('notifications', 'select distinct recipient from notification where user_id = $1 order by 1', [customer.id]);
  t.same(recipients.map(({ recipient }) => recipient), [PHONE, `${customer.username}@example.com`]);
});

void t.test('a declined card and the cancellation that follows are told, without a phone by e-mail alone', async (t) => {
  const customer = await shop.customer();
  const orderId = await placeOrder(customer, 'tok_declined');
  await orderIs(customer, orderId, 'cancelled');
  const messages = await toldAtLeast(customer, 3);
  t.same(subjects(messages), ['We received your order …', 'Your order … was cancelled', 'Your payment for order … failed']);
  t.equal(messages.length, 3);
  t.match(messages.find(({ subject }) => subject.endsWith('cancelled'))!.body, 'the payment was declined');
});

void t.test('an answer to a ticket is told, what the customer writes is not', async (t) => {
  const [customer, { token }] = [await shop.customer(), await shop.support()];
  const ticket = await shop.request('POST', '/api/v1/tickets', { token: customer.token, body: { subject: 'A question', body: 'Is it blue?' } });
  for (const [writer, body] of [[customer.token, 'Or green?'], [token, 'Red.'], [token, 'Or blue?']] as const) {
    t.equal((await shop.request('POST', `/api/v1/tickets/${ticket.body.id}/messages`, { token: writer, body: { body } })).status, 201);
  }
  const messages = await toldAtLeast(customer, 2);
  t.same(subjects(messages), ['We answered your ticket …', 'We answered your ticket …']);
  t.ok(messages.every(({ body }) => body.includes(ticket.body.id) && !body.includes('Red.')), 'it is named, not quoted');
});

void t.test('an event that is delivered twice, also at the same time, is told once', async (t) => {
  const customer = await shop.customer();
  const event = orderPlaced(customer.id);
  const results = await Promise.all([deliver(shop, event), deliver(shop, event), deliver(shop, event, orderPlaced(customer.id))]);
  results.push(await deliver(shop, event));
  t.ok(results.flat().every(({ outcome }) => outcome === 'handled'), 'each delivery counts as handled');
  t.equal((await told(customer)).length, 2, 'one message for each of two events');
});

void t.test('a customer who is gone is told nothing, and the event counts as handled', async (t) => {
  const nobody = uuidv7();
  t.same(await deliver(shop, orderPlaced(nobody)), [{ outcome: 'handled' }]);
  t.same(await shop.sql('notifications', 'select id from notification where user_id = $1', [nobody]), []);
});

void t.test('the list is mine alone, newest first, page by page', async (t) => {
  const customer = await shop.customer();
  const stranger = await shop.customer();
  for (let i = 0; i < 5; i += 1) await deliver(shop, orderPlaced(customer.id));
  const all = (await told(customer)).toReversed();
  t.equal(all.length, 5);

  const first = await shop.request('GET', '/api/v1/notifications?limit=2', { token: customer.token });
  t.same(Object.keys(first.body.items[0]).toSorted(), ['body', 'channel', 'createdAt', 'id', 'status', 'subject']);
  await deliver(shop, orderPlaced(customer.id));
  const second = await shop.request('GET', `/api/v1/notifications?limit=2&cursor=${first.body.nextCursor}`, { token: customer.token });
  const third = await shop.request('GET', `/api/v1/notifications?limit=2&cursor=${second.body.nextCursor}`, { token: customer.token });
  t.same([first, second, third].flatMap(({ body }) => body.items), all, 'a message that came meanwhile moves nothing');
  t.equal(third.body.nextCursor, null);

  t.same(await told(stranger), []);
  t.equal((await shop.request('GET', '/api/v1/notifications')).status, 401);
  for (const query of ['cursor=nonsense', `cursor=${encodeCursor([1])}`, `cursor=${encodeCursor(['no uuid'])}`, 'limit=0', 'limit=101', `userId=${customer.id}`]) {
    const reply = await shop.request('GET', `/api/v1/notifications?${query}`, { token: stranger.token });
    t.match(reply, { status: 400, body: { code: 'VALIDATION_FAILED' } }, `${query} is refused`);
  }
  const page = await shop.client(notifications).listNotifications({ userId: customer.id, limit: 1 }, shop.call());
  t.equal(page.items.length, 1, 'other modules read it through the contract');
});
