import { testShop } from '#testing';
import t from 'tap';
import { uuidv7 } from '#kernel';
import { Till, usd } from './till.testing.ts';

/** The time-out leaves room for a busy machine: one that passes is an honest answer, and not what is asked here. */
const settings = { PAYMENT_GATEWAY_TIMEOUT_MS: '500', PAYMENT_LEASE_MS: '2500', PAYMENT_ORDER_WAIT_MS: '300' };
const shop = await testShop(t, { settings });
const till = await Till.of(shop);

t.afterEach(async () => {
  t.same(await till.discrepancies(), [], 'the books are right');
});

/** What the database does instead of recording: an error of its own, or the end of the connection. */
const deaths = { machine: `raise exception 'the machine died';`, connection: 'perform pg_terminate_backend(pg_backend_pid()); return new;' };

/**
 * Runs `work` with a database that fails when the end of a charge or refund is to be recorded: what is left is
 * what a crash leaves between the money's moving and the record of it.
 */
async function crashBeforeRecording<T>(table: 'payment' | 'refund', orderId: string, work: () => Promise<T>, death: keyof typeof deaths = 'machine'): Promise<T | undefined> {
  await shop.sql('payments', `create function die() returns trigger language plpgsql as $$ begin ${deaths[death]} end $$`);
  await shop.sql(
    'payments',
    `create trigger die before update on ${table} for each row when (new.status = 'completed' and new.order_id = '${orderId}') execute function die()`,
  );
  try {
    return await work().catch(() => undefined);
  } finally {
    await shop.sql('payments', `drop trigger die on ${table}`);
    await shop.sql('payments', 'drop function die');
  }
}

t.test('a charge that was booked but not recorded is found, and its key answers', async (t) => {
  const orderId = await till.order();
  await crashBeforeRecording('payment', orderId, () => till.pay(orderId, 'tok_timeout', 'crash-1'));
  t.match(await till.taken(orderId), { charges: 1 }, 'the money is gone');
  t.match(await till.pay(orderId, 'tok_timeout', 'crash-1'), { status: 409, body: { code: 'IDEMPOTENCY_IN_PROGRESS' } }, 'nobody knows that the first request died');
  await shop.until(async () => (await till.payments(orderId))[0]!.status === 'completed', 'the recovery to find the charge');
  const replay = await till.pay(orderId, 'tok_timeout', 'crash-1');
  t.match(replay, { status: 201, body: { status: 'completed' } });
  t.equal(replay.headers.get('idempotency-replayed'), 'true');
  t.match(await till.pay(orderId), { status: 409, body: { code: 'ORDER_ALREADY_PAID' } });
});

t.test('fulfilment goes on at once with the charge that it lost', async (t) => {
  const orderId = uuidv7();
  await crashBeforeRecording('payment', orderId, () => till.charge(orderId, 'tok_timeout'));
  t.match(await till.charge(orderId, 'tok_timeout'), { outcome: 'completed' });
  t.match(await till.taken(orderId), { charges: 1 });
});

t.test('closing gives back what a crashed request took', async (t) => {
  const orderId = await till.order();
  await crashBeforeRecording('payment', orderId, () => till.pay(orderId, 'tok_timeout'));
  t.same(await till.close(orderId), { refunded: usd(1_999) });
  t.match(await till.taken(orderId), { charges: 1, givenBack: 1_999 });
});

t.test('a customer who pays again after a crash is not charged again', async (t) => {
  const orderId = await till.order();
  await crashBeforeRecording('payment', orderId, () => till.pay(orderId, 'tok_timeout'));
  await shop.until(async () => (await till.pay(orderId)).body.code === 'ORDER_ALREADY_PAID', 'the lost charge to be found');
  t.match(await till.taken(orderId), { charges: 1 });
});

t.test('a refund that was carried out but not recorded is recorded once', async (t) => {
  const orderId = await till.order();
  const { body } = await till.pay(orderId);
  const refund = () => till.refund(body.id, { amount: usd(500), reason: 'crash' }, 'crash-2');
  t.match(await crashBeforeRecording('refund', orderId, refund), { status: 500 });
  t.match(await till.taken(orderId), { givenBack: 500 }, 'the processor gave it back');
  const replay = await shop.until(async () => {
    const reply = await refund();
    return reply.status === 201 && reply;
  }, 'the refund to be recorded');
  t.match(replay.body, { status: 'completed', amount: usd(500) });
  t.match(await till.taken(orderId), { givenBack: 500 });
});

t.test('what a crash left behind is taken up by one of many who repeat it at once', async (t) => {
  for (let n = 0; n < 5; n += 1) {
    const orderId = await till.order();
    const { body } = await till.pay(orderId);
    const refund = async () => till.refund(body.id, { amount: usd(500), reason: 'crash' }, `crowd-${n}`);
    await crashBeforeRecording('refund', orderId, refund);
    await shop.sql('payments', 'update refund set leased_until = now() where order_id = $1', [orderId]);
    const crowd = await Promise.all(Array.from({ length: 20 }, refund));
    const done = crowd.filter(({ status }) => status === 201);
    t.ok(crowd.filter((reply) => reply.status !== 201).every(({ body: { code } }) => code === 'IDEMPOTENCY_IN_PROGRESS'));
    t.ok(done.filter(({ headers }) => headers.get('idempotency-replayed') !== 'true').length <= 1, 'one took it up, or the recovery did');
    t.equal((await shop.until(async () => (await refund()).status === 201 && refund(), 'the refund to be recorded')).headers.get('idempotency-replayed'), 'true');
    t.match(await till.taken(orderId), { givenBack: 500 });
  }
});

t.test('a charge that ends while its request is repeated is replayed, never taken for somebody else\'s', async (t) => {
  for (let n = 0; n < 5; n += 1) {
    const orderId = await till.order();
    const pay = async () => till.pay(orderId, 'tok_visa', `pay-crowd-${n}`);
    await crashBeforeRecording('payment', orderId, pay);
    await shop.sql('payments', 'update payment set leased_until = now() where order_id = $1', [orderId]);
    const crowd = await Promise.all(Array.from({ length: 20 }, pay));
    const codes = crowd.filter(({ status }) => status !== 201).map(({ body }) => body.code);
    t.same(codes.filter((code) => code !== 'IDEMPOTENCY_IN_PROGRESS'), []);
    t.match(await shop.until(async () => (await pay()).status === 201 && pay(), 'the charge to be recorded'), { body: { status: 'completed' } });
    t.match(await till.taken(orderId), { charges: 1 });
  }
});

t.test('two processes of one shop charge an order once', { skip: !shop.isOneProcess && 'about a shop whose modules share a process' }, async (t) => {
  const twin = new Till(await testShop(t, { settings, database: shop.database }), till.customer);
  for (let round = 0; round < 3; round += 1) {
    const orderId = await till.order();
    const paying = [till, twin, till, twin].map(async (each) => each.pay(orderId));
    const charging = [till, twin].map(async (each) => each.charge(orderId));
    const statuses = (await Promise.all(paying)).map(({ status }) => status);
    t.ok(statuses.filter((status) => status === 201).length <= 1 && statuses.every((status) => status === 201 || status === 409), statuses.join());
    t.same(new Set((await Promise.all(charging)).map(({ outcome }) => outcome)), new Set(['completed']));
    t.match(await till.taken(orderId), { charges: 1, taken: 1_999 });
  }
});

t.test('money has moved when the connection is lost before that is recorded: nobody is told to come again as if it had not', async (t) => {
  const [charged, refunded] = [await till.order(), await till.order()];
  const charge = await crashBeforeRecording('payment', charged, () => till.pay(charged), 'connection');
  t.match(charge, { status: 503, body: { code: 'DEADLINE_EXCEEDED', detail: /a part of the work has been done/ } });
  t.ok(charge!.headers.has('retry-after'));
  const { body: payment } = await till.pay(refunded);
  const refund = await crashBeforeRecording('refund', refunded, () => till.refund(payment.id, { amount: usd(5), reason: 'broken' }), 'connection');
  t.match(refund, { status: 503, body: { code: 'DEADLINE_EXCEEDED' } });
  await shop.until(async () => (await till.payments(charged))[0]!.status === 'completed', 'the recovery to find the charge');
  await shop.until(async () => (await till.payments(refunded))[0]!.status === 'partially_refunded', 'the recovery to find the refund');
});
