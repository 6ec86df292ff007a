/**
 * Random histories: whatever customers and administrators do, in whatever order, and whichever events come
 * again, stock and money add up after each step, and at the end nothing is left over.
 */
import fc from 'fast-check';
import t from 'tap';
import { testShop } from '#testing';
import { booksAtRest, booksThatNeverFail, untilAtRest } from './books.testing.ts';

// Calls and events go through JSON here; the other stories hand over copies.
const shop = await testShop(t, { wire: true, settings: { SAGA_RETRY_BASE_MS: '10', SAGA_RETRY_MAX_MS: '50' } });
const shippingAddress = { name: 'Alan Turing', line1: 'Bletchley Park', city: 'Milton Keynes', postalCode: 'MK3 6EB', country: 'GB' };
const customer = await shop.customer();
const admin = await shop.admin();

type Action =
  | { do: 'place'; product: number; quantity: number; cardToken: string | undefined }
  | { do: 'pay'; order: number; cardToken: string }
  | { do: 'cancel' | 'dispatch' | 'deliver'; order: number }
  | { do: 'refund'; order: number; amount: number }
  | { do: 'restock'; product: number; delta: number }
  | { do: 'redeliver'; event: number; subscriber: number };

const order = fc.nat(9);
const product = fc.nat(1);
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('place' as const), product, quantity: fc.integer({ min: 1, max: 4 }), cardToken: fc.constantFrom(undefined, 'tok_visa', 'tok_visa', 'tok_declined') }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pay' as const), order, cardToken: fc.constantFrom('tok_visa', 'tok_insufficient_funds') }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('cancel' as const, 'dispatch' as const, 'deliver' as const), order }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('refund' as const), order, amount: fc.integer({ min: 1, max: 3_000 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restock' as const), product, delta: fc.integer({ min: -2, max: 5 }).filter((delta) => delta !== 0) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('redeliver' as const), event: fc.nat(999), subscriber: fc.nat(9) }) },
);

interface Run {
  products: string[];
  orders: string[];
}

async function pick(run: Run, index: number): Promise<string | undefined> {
  return run.orders.length === 0 ? undefined : run.orders[index % run.orders.length];
}

async function act(run: Run, step: Action): Promise<number> {
  if (step.do === 'place') return place(run, step);
  if (step.do === 'restock') return (await shop.request('POST', `/api/v1/inventory/${run.products[step.product]}/adjustments`, { token: admin.token, body: { delta: step.delta, reason: 'count' } })).status;
  if (step.do === 'redeliver') return redeliver(step);
  const id = await pick(run, step.order);
  if (id === undefined) return 0;
  if (step.do === 'pay') return (await shop.request('POST', '/api/v1/payments', { token: customer.token, body: { orderId: id, method: 'card', cardToken: step.cardToken } })).status;
  if (step.do === 'cancel') return (await shop.request('POST', `/api/v1/orders/${id}/cancel`, { token: customer.token })).status;
  if (step.do === 'refund') return refund(id, step.amount);
  return moveShipment(id, step.do);
}

async function place(run: Run, step: Extract<Action, { do: 'place' }>): Promise<number> {
  const payment = step.cardToken && { payment: { method: 'card', cardToken: step.cardToken } };
  const reply = await shop.request('POST', '/api/v1/orders', { token: customer.token, body: { items: [{ productId: run.products[step.product], quantity: step.quantity }], shippingAddress, ...payment } });
  if (reply.status === 201) run.orders.push(reply.body.id);
  return reply.status;
}

async function refund(orderId: string, amount: number): Promise<number> {
  const payments = await shop.request('GET', `/api/v1/payments?orderId=${orderId}`, { token: admin.token });
  const payment = payments.body.items[0];
  if (!payment) return 0;
  return (await shop.request('POST', `/api/v1/payments/${payment.id}/refund`, { token: admin.token, body: { amount: { amount, currency: 'USD' }, reason: 'goodwill' } })).status;
}

async function moveShipment(orderId: string, verb: 'dispatch' | 'deliver'): Promise<number> {
  const shipments = await shop.request('GET', `/api/v1/shipments?orderId=${orderId}`, { token: admin.token });
  const shipment = shipments.body.items[0];
  return shipment ? (await shop.request('POST', `/api/v1/shipments/${shipment.id}/${verb}`, { token: admin.token })).status : 0;
}

/** Hands an event that was published at some time to a subscriber once more. */
async function redeliver({ event, subscriber }: Extract<Action, { do: 'redeliver' }>): Promise<number> {
  const rows = (await Promise.all(['orders', 'payments', 'shipping', 'inventory'].map(async (module) => shop.sql<{ data: { type: string } }>(`${module}_outbox`, `select data from job where name = 'events' order by id desc limit 50`)))).flat();
  const chosen = rows[event % Math.max(1, rows.length)]?.data;
  if (!chosen) return 0;
  const takers = ['orders', 'notifications', 'inventory'].flatMap((module) => [...shop.module(module).intakes.values()]).filter((intake) => intake.types.includes(chosen.type));
  const taker = takers[subscriber % Math.max(1, takers.length)];
  return taker ? (await taker.handle([chosen as never])).every((result) => result.outcome === 'handled') ? 200 : 500 : 0;
}

t.test('stock and money add up after every step of every history', { timeout: 120_000 }, async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 6, maxLength: 18, size: 'max' }), async (history) => {
      const run: Run = { products: [(await shop.product({ stock: 5, price: 1_000 })).id, (await shop.product({ stock: 2, price: 333 })).id], orders: [] };
      for (const step of history) {
        const status = await act(run, step);
        if (status >= 500 && status !== 503) throw new Error(`${JSON.stringify(step)} was answered with ${status}`);
        const failures = await booksThatNeverFail(shop);
        if (failures.length > 0) throw new Error(`after ${JSON.stringify(step)}: ${failures.join('; ')}`);
      }
      await untilAtRest(shop);
      const failures = await booksAtRest(shop);
      if (failures.length > 0) throw new Error(`at rest: ${failures.join('; ')}`);
    }),
    { numRuns: 20, endOnFailure: false },
  );
  t.pass('20 histories');
});
