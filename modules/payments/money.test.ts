import { testShop } from '#testing';
import fc from 'fast-check';
import t from 'tap';
import { Till, usd } from './till.testing.ts';

/** A processor that breaks down every sixth time, before or after it has done its work. */
const shop = await testShop(t, {
  settings: {
    PAYMENT_GATEWAY_FAILURE_RATE: '0.17',
    PAYMENT_GATEWAY_LATENCY_MS: '4',
    PAYMENT_GATEWAY_TIMEOUT_MS: '100',
    PAYMENT_LEASE_MS: '1000',
    PAYMENT_ORDER_WAIT_MS: '200',
  },
});
const till = await Till.of(shop);

const PRICE = 900;
const cardToken = fc.constantFrom('tok_visa', 'tok_timeout', 'tok_declined', 'tok_gateway_down');
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('pay' as const), cardToken }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('charge' as const), cardToken }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('refund' as const), amount: fc.integer({ min: 1, max: PRICE }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('close' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** Does one step; what the shop refuses is refused, what it fails at is left to recovery. */
async function take(orderId: string, doing: Step): Promise<'paid' | 'other'> {
  if (doing.do === 'pay') return (await till.pay(orderId, doing.cardToken)).status === 201 ? 'paid' : 'other';
  if (doing.do === 'charge') await till.charge(orderId, doing.cardToken, PRICE).catch(unavailable);
  if (doing.do === 'close') await till.close(orderId).catch(unavailable);
  if (doing.do === 'refund') {
    const [payment] = await till.payments(orderId);
    if (payment) await till.refund(payment.id, { amount: usd(doing.amount), reason: 'random' });
  }
  return 'other';
}

function unavailable(error: Error & { code?: string }): void {
  if (error.code !== 'GATEWAY_UNAVAILABLE') throw error;
}

t.test('whatever happens at once, an order is charged once at the most and the books are right in the end', async (t) => {
  const closed = new Set<string>();
  const rounds = fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(rounds, async (sequence) => {
      const orderId = await till.order(PRICE);
      const outcomes: string[] = [];
      for (const atOnce of sequence) {
        outcomes.push(...(await Promise.all(atOnce.map(async (doing) => take(orderId, doing)))));
        if (atOnce.some((doing) => doing.do === 'close')) closed.add(orderId);
        const { charges, taken, givenBack } = await till.taken(orderId);
        if (charges > 1 || givenBack > taken) throw new Error(`${charges} charges took ${taken}, ${givenBack} were given back`);
      }
      if (outcomes.filter((outcome) => outcome === 'paid').length > 1) throw new Error('two payments of one order succeeded');
    }),
    { numRuns: 20 },
  );

  await t.test('in the end', async (t) => {
    const pending = `select order_id from payment where status = 'pending' union select order_id from refund where status = 'pending'`;
    await shop.until(async () => {
      const left = await shop.sql<{ order_id: string }>('payments', pending);
      await Promise.all(left.map(async ({ order_id: orderId }) => take(orderId, closed.has(orderId) ? { do: 'close' } : { do: 'charge', cardToken: 'tok_visa' })));
      return left.length === 0;
    }, 'every charge and refund to end', 20_000);
    t.same(await till.discrepancies(), []);
    for (const orderId of closed) {
      const { taken, givenBack } = await till.taken(orderId);
      t.equal(taken, givenBack, 'a closed order keeps nothing');
    }
  });
});
