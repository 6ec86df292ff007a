import { testShop } from '#testing';
import t from 'tap';
import { Till } from './till.testing.ts';

const settings = { PAYMENT_GATEWAY_TIMEOUT_MS: '200', PAYMENT_LEASE_MS: '1000' };

const down = await testShop(t, { settings: { ...settings, PAYMENT_GATEWAY_FAILURE_RATE: '1' } });

t.test('a processor that is down altogether is asked again once it is up', { skip: !down.isOneProcess && 'a second process starts on the database of the first' }, async (t) => {
  const till = await Till.of(down);
  const [customers, fulfilments, cancelled] = [await till.order(), await till.order(), await till.order()];
  t.match(await till.pay(customers, 'tok_visa', 'down-2'), { status: 503, body: { code: 'GATEWAY_UNAVAILABLE' } });
  t.match(await till.payments(customers), [{ status: 'pending' }], 'nobody knows what became of it');
  await t.rejects(till.charge(fulfilments), { code: 'GATEWAY_UNAVAILABLE' });
  await t.rejects(till.charge(cancelled), { code: 'GATEWAY_UNAVAILABLE' });
  await t.rejects(till.close(cancelled), { code: 'GATEWAY_UNAVAILABLE' });
  await down.stop();

  const up = await testShop(t, { settings, database: down.database });
  const again = new Till(up, till.customer);
  // Recovery may be at it in this very moment: then the answer is to repeat a little later.
  const repeated = await up.until(async () => {
    const reply = await again.pay(customers, 'tok_visa', 'down-2');
    return reply.body.code === 'IDEMPOTENCY_IN_PROGRESS' ? undefined : reply;
  }, 'the key not to be in use');
  t.match(repeated, { status: 201 }, 'the key can be repeated');
  t.match(await again.charge(fulfilments), { outcome: 'completed' });
  t.same(await again.close(cancelled), { refunded: null });
  t.match(await again.payments(cancelled), [{ status: 'failed' }]);
  t.same(await again.discrepancies(), []);
});
