import { testShop } from '#testing';
import t from 'tap';
import { uuidv7 } from '#kernel';
import { payments } from './contract.ts';
import { Till, usd } from './till.testing.ts';

const shop = await testShop(t, {
  settings: { PAYMENT_GATEWAY_TIMEOUT_MS: '300', PAYMENT_LEASE_MS: '1500', PAYMENT_ORDER_WAIT_MS: '400' },
});
const till = await Till.of(shop);

t.afterEach(async () => {
  t.same(await till.discrepancies(), [], 'the books are right');
});

t.test('a customer pays an order and sees the payment', async (t) => {
  const orderId = await till.order(1_999);
  const paid = await till.pay(orderId);
  t.equal(paid.status, 201);
  t.match(paid.body, { orderId, amount: usd(1_999), status: 'completed', message: 'Approved' });
  t.same(Object.keys(paid.body).sort(), ['amount', 'id', 'message', 'orderId', 'status', 'transactionId']);

  const one = await shop.request('GET', `/api/v1/payments/${paid.body.id}`, { token: till.customer.token });
  t.match(one, { status: 200, body: { ...paid.body, refunded: usd(0) } });
  t.same((await till.payments(orderId)).map(({ id }) => id), [paid.body.id]);
  t.match(await till.pay(orderId), { status: 409, body: { code: 'ORDER_ALREADY_PAID' } });
});

t.test('the customer is told once that the payment was completed', async (t) => {
  const reader = await Till.of(shop);
  await reader.pay(await reader.order());
  const told = async () => (await shop.request('GET', '/api/v1/notifications', { token: reader.customer.token })).body.items.length;
  await shop.until(told, 'the mail about the payment');
  const open = async () => shop.sql('payments_outbox', `select id from job where name = 'events' and state < 'active' union all select event_id from event_delivery where state = 'waiting'`);
  await shop.until(async () => (await open()).length === 0, 'all events of payments to be handled');
  t.equal(await told(), 1);
});

t.test('a declined order can be paid with another card', async (t) => {
  const orderId = await till.order();
  const declined = await till.pay(orderId, 'tok_declined');
  const short = await till.pay(orderId, 'tok_insufficient_funds');
  const unknown = await till.pay(orderId, 'tok_of_another_world');
  for (const reply of [declined, short, unknown]) t.match(reply, { status: 402, body: { code: 'PAYMENT_DECLINED', paymentId: /^[0-9a-f-]{36}$/ } });
  t.equal(new Set([declined, short, unknown].map((reply) => reply.body.detail)).size, 3, 'each says why');
  t.equal((await till.pay(orderId)).status, 201);
  t.same((await till.payments(orderId)).map(({ status }) => status), ['completed', 'declined', 'declined', 'declined']);
});

t.test('only its customer pays an order, and only an order that is there', async (t) => {
  const orderId = await till.order();
  const stranger = await shop.customer();
  t.match(await till.pay(orderId, 'tok_visa', undefined, stranger), { status: 404, body: { code: 'ORDER_NOT_FOUND' } });
  t.match(await till.pay(orderId, 'tok_visa', undefined, await shop.admin()), { status: 404, body: { code: 'ORDER_NOT_FOUND' } });
  t.match(await till.pay(uuidv7()), { status: 404, body: { code: 'ORDER_NOT_FOUND' } });
  t.match(await shop.request('POST', '/api/v1/payments', { body: { orderId, method: 'card', cardToken: 'tok_visa' } }), { status: 401 });
});

t.test('a payment that comes a moment before its order waits for it', async (t) => {
  const orderId = uuidv7();
  const began = new Date();
  const early = till.pay(orderId);
  const looks = `select 1 from pg_stat_activity where query like 'select 1 from payable%' and query_start > $1`;
  await shop.until(async () => (await shop.sql('payments', looks, [began])).length, 'the request to look for its order');
  await shop.client(payments).open({ orderId, customerId: till.customer.id, amount: usd(500) }, shop.call());
  t.match(await early, { status: 201, body: { amount: usd(500) } });
});

t.test('what is not a card token is refused at the door', async (t) => {
  const orderId = await till.order();
  for (const cardToken of ['4242424242424242', 'tok_4242 4242', 'tok_4242424242424242', 'tok_4242_4242_4242_4242', '', 'TOK_VISA', 17]) {
    t.match(await till.pay(orderId, cardToken as string), { status: 400, body: { code: 'VALIDATION_FAILED' } }, String(cardToken));
  }
  const extra = { orderId, method: 'card', cardToken: 'tok_visa', amount: usd(1) };
  t.match(await shop.request('POST', '/api/v1/payments', { token: till.customer.token, body: extra }), { status: 400 });
  t.same(await till.payments(orderId), []);
});

t.test('ten payments of one order at once charge it once', async (t) => {
  const orderId = await till.order();
  const replies = await Promise.all(Array.from({ length: 10 }, () => till.pay(orderId)));
  const refused = replies.filter(({ status }) => status !== 201);
  t.equal(refused.length, 9);
  for (const { status, body } of refused) t.ok(status === 409 && ['ORDER_ALREADY_PAID', 'IDEMPOTENCY_IN_PROGRESS'].includes(body.code), body.code);
  t.match(await till.taken(orderId), { charges: 1, taken: 1_999, givenBack: 0 });
});

t.test('a charge whose answer comes too late is not made twice', async (t) => {
  const orderId = await till.order();
  const paid = await till.pay(orderId, 'tok_timeout');
  t.match(paid, { status: 201, body: { status: 'completed' } });
  t.match(await till.taken(orderId), { charges: 1, taken: 1_999 });
  const other = uuidv7();
  t.match(await till.charge(other, 'tok_timeout'), { outcome: 'completed' });
  t.match(await till.taken(other), { charges: 1, taken: 1_999 });
});

t.test('while the card processor is down the order stays payable', async (t) => {
  const orderId = await till.order();
  t.match(await till.pay(orderId, 'tok_gateway_down', 'down-1'), { status: 503, body: { code: 'GATEWAY_UNAVAILABLE' } });
  t.match(await till.pay(orderId, 'tok_gateway_down', 'down-1'), { status: 503, body: { code: 'GATEWAY_UNAVAILABLE' } }, 'the key can be repeated');
  t.match(await till.pay(orderId, 'tok_visa', 'down-1'), { status: 422, body: { code: 'IDEMPOTENCY_KEY_REUSED' } }, 'with the same request');
  t.equal((await till.pay(orderId)).status, 201);
  t.same((await till.payments(orderId)).map(({ status }) => status), ['completed', 'failed', 'failed']);
});

t.test('a key replays its first answer, good or bad', async (t) => {
  const orderId = await till.order();
  const declined = await till.pay(orderId, 'tok_declined', 'no-1');
  const declinedAgain = await till.pay(orderId, 'tok_declined', 'no-1');
  t.match(declinedAgain, { status: 402, body: { code: 'PAYMENT_DECLINED', paymentId: declined.body.paymentId, detail: declined.body.detail } });
  t.equal(declined.headers.get('idempotency-replayed'), null);
  t.equal(declinedAgain.headers.get('idempotency-replayed'), 'true');

  const paid = await till.pay(orderId, 'tok_visa', 'yes-1');
  const paidAgain = await till.pay(orderId, 'tok_visa', 'yes-1');
  t.equal(paid.headers.get('idempotency-replayed'), null);
  t.equal(paidAgain.headers.get('idempotency-replayed'), 'true');
  t.same([paidAgain.status, paidAgain.body], [201, paid.body]);
  t.match(await till.pay(orderId, 'tok_declined', 'yes-1'), { status: 422, body: { code: 'IDEMPOTENCY_KEY_REUSED' } });
  t.equal((await till.payments(orderId)).length, 2);
});

t.test('requests with one key at once are one request', async (t) => {
  const orderId = await till.order();
  const replies = await Promise.all(Array.from({ length: 6 }, () => till.pay(orderId, 'tok_timeout', 'same-1')));
  for (const { status, body } of replies) t.ok(status === 201 || body.code === 'IDEMPOTENCY_IN_PROGRESS', `${status} ${body.code}`);
  t.match(await till.pay(orderId, 'tok_timeout', 'same-1'), { status: 201 });
  t.match(await till.taken(orderId), { charges: 1 });
});

t.test('fulfilment charges an order once, however often it asks', async (t) => {
  const orderId = uuidv7();
  const first = await till.charge(orderId);
  t.match(first, { outcome: 'completed', paymentId: String });
  t.same(await till.charge(orderId), first);
  t.match(await till.pay(orderId), { status: 409, body: { code: 'ORDER_ALREADY_PAID' } });

  const declined = await till.charge(uuidv7(), 'tok_declined');
  t.match(declined, { outcome: 'declined', message: 'The card was declined' });
});

t.test('a decline is told to fulfilment again, and the customer can still pay', async (t) => {
  const orderId = uuidv7();
  const declined = await till.charge(orderId, 'tok_declined');
  t.same(await till.charge(orderId, 'tok_declined'), declined);
  t.equal((await till.payments(orderId)).length, 1);
  const paid = await till.pay(orderId);
  t.equal(paid.status, 201);
  t.match(await till.charge(orderId, 'tok_declined'), { outcome: 'completed', paymentId: paid.body.id });
});

t.test('fulfilment and the customer pay at once: one charge', async (t) => {
  for (let round = 0; round < 5; round += 1) {
    const orderId = await till.order();
    const [paid, charged] = await Promise.all([till.pay(orderId), till.charge(orderId)]);
    t.equal(charged.outcome, 'completed');
    t.ok(paid.status === 201 || paid.body.code === 'ORDER_ALREADY_PAID', paid.body.code);
    t.match(await till.taken(orderId), { charges: 1, taken: 1_999 });
  }
});

t.test('fulfilment repeats a charge that the processor did not answer until it does', async (t) => {
  const orderId = await till.order();
  for (let round = 0; round < 2; round += 1) await t.rejects(till.charge(orderId, 'tok_gateway_down'), { code: 'GATEWAY_UNAVAILABLE', status: 503 });
  t.same((await till.payments(orderId)).map(({ status }) => status), ['pending'], 'one attempt, however often it was asked for');
  t.match(await till.pay(orderId), { status: 201 }, 'the customer need not wait for it');
  t.match(await till.charge(orderId, 'tok_gateway_down'), { outcome: 'completed' });
});

t.test('closing gives back what was taken, and nothing is taken afterwards', async (t) => {
  const orderId = await till.order(2_500);
  const paid = await till.pay(orderId);
  t.same(await till.close(orderId), { refunded: usd(2_500) });
  t.same(await till.close(orderId), { refunded: usd(2_500) }, 'once, however often');
  t.same((await till.payments(orderId)).map(({ id, status, refunded }) => ({ id, status, refunded })), [{ id: paid.body.id, status: 'refunded', refunded: usd(2_500) }]);
  t.match(await till.pay(orderId), { status: 409, body: { code: 'ORDER_NOT_PAYABLE' } });
  t.match(await till.charge(orderId), { outcome: 'closed' });
  t.match(await till.taken(orderId), { charges: 1, taken: 2_500, givenBack: 2_500 });
});

t.test('an order that is closed before it was opened stays closed', async (t) => {
  const [told, untold] = [uuidv7(), uuidv7()];
  const client = shop.client(payments);
  t.same(await client.close({ orderId: told, reason: 'OUT_OF_STOCK', customerId: till.customer.id }, shop.call()), { refunded: null });
  t.match(await till.pay(told), { status: 409, body: { code: 'ORDER_NOT_PAYABLE' } });
  t.same(await till.close(untold), { refunded: null });
  t.match(await till.pay(untold), { status: 404 }, 'nobody said whose order it is');
  t.match(await till.charge(untold), { outcome: 'closed', paymentId: null });
  t.same(await client.open({ orderId: untold, customerId: till.customer.id, amount: usd(1) }, shop.call()), { status: 'closed' });
  t.match(await till.pay(untold), { status: 409, body: { code: 'ORDER_NOT_PAYABLE' } }, 'now somebody did');
});

t.test('closing ends a charge that fulfilment still wanted to repeat', async (t) => {
  const orderId = await till.order();
  await t.rejects(till.charge(orderId, 'tok_gateway_down'), { code: 'GATEWAY_UNAVAILABLE' });
  t.same(await till.close(orderId), { refunded: null });
  t.same((await till.payments(orderId)).map(({ status }) => status), ['failed']);
  t.match(await till.charge(orderId), { outcome: 'closed' });
});

t.test('a payment is seen by its customer, support and administrators', async (t) => {
  const orderId = await till.order();
  const { body } = await till.pay(orderId);
  const [support, admin, stranger] = [await shop.support(), await shop.admin(), await shop.customer()];
  for (const { token } of [till.customer, support, admin]) {
    t.match(await shop.request('GET', `/api/v1/payments/${body.id}`, { token }), { status: 200, body: { id: body.id } });
    const listed = await shop.request('GET', `/api/v1/payments?orderId=${orderId}`, { token });
    t.same([listed.status, listed.body.items.map(({ id }: { id: string }) => id), listed.body.nextCursor], [200, [body.id], null]);
  }
  t.match(await shop.request('GET', `/api/v1/payments/${body.id}`, { token: stranger.token }), { status: 404, body: { code: 'PAYMENT_NOT_FOUND' } });
  t.same((await shop.request('GET', `/api/v1/payments?orderId=${orderId}`, { token: stranger.token })).body, { items: [], nextCursor: null });
  t.match(await shop.request('GET', `/api/v1/payments/${uuidv7()}`, { token: admin.token }), { status: 404 });
  t.match(await shop.request('GET', '/api/v1/payments', { token: admin.token }), { status: 400 });
});

t.test('an order’s payments come page by page', async (t) => {
  const orderId = await till.order();
  for (const token of ['tok_declined', 'tok_declined', 'tok_visa']) await till.pay(orderId, token);
  const path = `/api/v1/payments?orderId=${orderId}&limit=2`;
  const first = await shop.request('GET', path, { token: till.customer.token });
  const second = await shop.request('GET', `${path}&cursor=${first.body.nextCursor}`, { token: till.customer.token });
  t.match(first.body.items.map((item: { status: string }) => item.status), ['completed', 'declined']);
  t.match(second.body, { items: [{ status: 'declined' }], nextCursor: null });
  t.equal(second.body.items.length, 1);
  const forged = Buffer.from('["1 or 1=1"]').toString('base64url');
  t.match(await shop.request('GET', `${path}&cursor=${forged}`, { token: till.customer.token }), { status: 400 });
});

t.test('an order that costs nothing is paid and closed like any other, and leaves nothing in the books', async (t) => {
  const orderId = await till.order(0);
  t.match(await till.pay(orderId), { status: 201, body: { amount: usd(0) } });
  t.match(await till.pay(orderId), { status: 409, body: { code: 'ORDER_ALREADY_PAID' } });
  t.same(await till.close(orderId), { refunded: null });
  t.same(await shop.sql('payments', 'select 1 from ledger_entry where order_id = $1', [orderId]), []);
});

t.test('other modules are told what was taken and given back', async (t) => {
  const orderId = await till.order(700);
  await till.pay(orderId, 'tok_declined');
  const { body } = await till.pay(orderId);
  await till.refund(body.id, { amount: usd(200), reason: 'scratched' });
  t.match(await shop.client(payments).getOrderPayments({ orderId }, shop.call()), {
    payments: [
      { status: 'declined', amount: usd(700), refunded: usd(0) },
      { id: body.id, status: 'partially_refunded', amount: usd(700), refunded: usd(200) },
    ],
  });
});
