import { setTimeout as sleep } from 'node:timers/promises';
import { testShop } from '#testing';
import t from 'tap';
import { uuidv7 } from '#kernel';
import { Till, usd } from './till.testing.ts';

const shop = await testShop(t, { settings: { PAYMENT_GATEWAY_LATENCY_MS: '40' } });
const till = await Till.of(shop);

t.afterEach(async () => {
  t.same(await till.discrepancies(), [], 'the books are right');
});

async function paid(amount: number): Promise<{ orderId: string; id: string }> {
  const orderId = await till.order(amount);
  const { body } = await till.pay(orderId);
  return { orderId, id: body.id };
}

t.test('a payment is given back in parts, and no more of it than was taken', async (t) => {
  const { orderId, id } = await paid(1_000);
  const part = await till.refund(id, { amount: usd(400), reason: 'one piece was broken' });
  t.match(part, { status: 201, body: { paymentId: id, amount: usd(400), reason: 'one piece was broken', status: 'completed' } });
  t.same(Object.keys(part.body).sort(), ['amount', 'createdAt', 'id', 'paymentId', 'reason', 'status']);
  t.match(await till.payments(orderId), [{ status: 'partially_refunded', refunded: usd(400) }]);
  t.match(await till.refund(id, { amount: usd(601), reason: 'too much' }), { status: 409, body: { code: 'REFUND_EXCEEDS_PAYMENT' } });
  t.match(await till.refund(id, { reason: 'all that is left' }), { status: 201, body: { amount: usd(600) } });
  t.match(await till.payments(orderId), [{ status: 'refunded', refunded: usd(1_000) }]);
  t.match(await till.refund(id, { reason: 'once more' }), { status: 409, body: { code: 'REFUND_EXCEEDS_PAYMENT' } });
  t.match(await till.pay(orderId), { status: 409, body: { code: 'ORDER_ALREADY_PAID' } }, 'a refund does not open the order again');
});

t.test('refunds at once never exceed the payment', async (t) => {
  const { orderId, id } = await paid(1_000);
  const replies = await Promise.all(Array.from({ length: 8 }, () => till.refund(id, { amount: usd(300), reason: 'all at once' })));
  t.equal(replies.filter(({ status }) => status === 201).length, 3);
  t.equal(replies.filter(({ status, body }) => status === 409 && body.code === 'REFUND_EXCEEDS_PAYMENT').length, 5);
  t.match(await till.taken(orderId), { taken: 1_000, givenBack: 900 });
  t.same(await till.close(orderId), { refunded: usd(1_000) }, 'closing gives back the rest');
});

t.test('a refund with a key is made once', async (t) => {
  const { orderId, id } = await paid(1_000);
  const body = { amount: usd(100), reason: 'late' };
  const first = await till.refund(id, body, 'refund-1');
  const again = await till.refund(id, body, 'refund-1');
  t.same(again.body, first.body);
  t.equal(again.headers.get('idempotency-replayed'), 'true');
  t.match(await till.refund(id, { ...body, reason: 'other' }, 'refund-1'), { status: 422, body: { code: 'IDEMPOTENCY_KEY_REUSED' } });
  const other = await paid(1_000);
  t.match(await till.refund(other.id, body, 'refund-1'), { status: 422 }, 'the key names the payment too');
  t.match(await till.taken(orderId), { givenBack: 100 });
});

t.test('only an administrator refunds, and only what was taken', async (t) => {
  const { id } = await paid(1_000);
  const path = `/api/v1/payments/${id}/refund`;
  for (const { token } of [till.customer, await shop.support()]) t.match(await shop.request('POST', path, { token, body: { reason: 'please' } }), { status: 403 });
  t.match(await till.refund(uuidv7(), { reason: 'of nothing' }), { status: 404, body: { code: 'PAYMENT_NOT_FOUND' } });
  const orderId = await till.order();
  const declined = await till.pay(orderId, 'tok_declined');
  t.match(await till.refund(declined.body.paymentId, { reason: 'of a decline' }), { status: 409, body: { code: 'PAYMENT_NOT_REFUNDABLE' } });
});

t.test('a refund must make sense', async (t) => {
  const { id } = await paid(1_000);
  t.match(await till.refund(id, { amount: { amount: 1, currency: 'EUR' }, reason: 'euros' }), { status: 400, body: { errors: [{ path: '/amount/currency' }] } });
  for (const amount of [usd(0), usd(-1), usd(1.5), 100, { amount: 100 }]) t.match(await till.refund(id, { amount, reason: 'odd' }), { status: 400 }, JSON.stringify(amount));
  for (const reason of ['', 'two\nlines', 'a\u0000b', undefined]) t.match(await till.refund(id, { reason }), { status: 400 }, `reason ${JSON.stringify(reason)}`);
});

t.test('closing while a charge is in flight ends with nothing taken', async (t) => {
  const delays = [0, 8, 16, 24, 32, 40, 48, 60, 80, 100];
  await Promise.all(
    delays.map(async (delay, i) => {
      const orderId = await till.order();
      const paying = i % 2 === 0 ? till.pay(orderId).then(({ status }) => status) : till.charge(orderId).then(({ outcome }) => outcome);
      await sleep(delay);
      await till.close(orderId);
      t.ok([201, 409, 'completed', 'closed'].includes(await paying), `${delay} ms: ${await paying}`);
      const { taken, givenBack } = await till.taken(orderId);
      t.equal(taken, givenBack, `closed ${delay} ms after the charge began`);
      t.match(await till.pay(orderId), { status: 409, body: { code: 'ORDER_NOT_PAYABLE' } });
    }),
  );
});

t.test('the ledger can neither be changed nor be brought out of balance', async (t) => {
  const { orderId, id } = await paid(1_000);
  const entries = await shop.sql('payments', 'select account, debit, credit from ledger_entry where order_id = $1 order by account', [orderId]);
  t.same(entries, [
    { account: 'gateway_receivable', debit: 1_000, credit: 0 },
    { account: 'sales', debit: 0, credit: 1_000 },
  ]);
  await t.rejects(shop.sql('payments', 'update ledger_entry set debit = 1 where order_id = $1', [orderId]), /append-only/);
  await t.rejects(shop.sql('payments', 'delete from ledger_entry where order_id = $1', [orderId]), /append-only/);
  await t.rejects(shop.sql('payments', 'truncate ledger_entry'), /append-only/);
  const oneSided = 'insert into ledger_entry (id, transaction_id, account, order_id, payment_id, debit, credit, currency) values ($1, $1, $2, $3, $4, 5, 0, $5)';
  await t.rejects(shop.sql('payments', oneSided, [uuidv7(), 'sales', orderId, id, 'USD']), /does not balance/);
});
