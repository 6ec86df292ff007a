/**
 * kill -9 before and after every step of fulfilment (invariants I4 to I6). In each life of the shop clients place, pay, decline,
 * cancel and ship; at each of some points one of their orders, or the news of one, is stopped, and when all of these points have been
 * reached the process is killed with everything that stands there. The next life is its restart, and meets what the one before has left.
 * At the end every acknowledged order must have reached an end, and stock, money and mails must agree.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { shopProcesses, testShop } from '#testing';
import { booksAtRest, untilAtRest } from './books.testing.ts';
import { createFulfilment } from './fulfilment.ts';
import { mailsAtRest } from './mails.testing.ts';

const settings = { SAGA_RETRY_BASE_MS: '20', SAGA_RETRY_MAX_MS: '100', EVENT_RETRY_BASE_MS: '20', EVENT_RETRY_MAX_MS: '100' };
const shippingAddress = { name: 'Grace Hopper', line1: '1 Navy Yard', city: 'Washington', postalCode: '20374', country: 'US' };
const STOCK = 100_000;
const PRICE = 1_250;

/** Waiting steps have no effect of their own: what moves them are events, which have points of their own. */
function sagaPoints(): string[] {
  const { definition } = createFulfilment({ schema: 'orders' } as never, {} as never, { paymentTimeoutMs: 0 });
  const steps = Object.entries(definition.steps).flatMap(([name, step]) => [...('effect' in step ? [name] : []), ...('undo' in step ? [`undo:${name}`] : [])]);
  return steps.flatMap((name) => ['before', 'effected', 'settled'].map((at) => `saga:fulfilment:${name}:${at}`));
}

/** Of each subscriber by itself. */
function eventPoints(): string[][] {
  const handled = {
    'orders.fulfilment': ['payments.payment-completed.v1', 'payments.payment-refunded.v1', 'shipping.shipment-dispatched.v1', 'shipping.shipment-delivered.v1'],
    'notifications.customer-messages': ['orders.order-placed.v1', 'payments.payment-failed.v1', 'orders.order-shipped.v1', 'orders.order-cancelled.v1'],
  };
  return Object.entries(handled).map(([subscriber, types]) => types.flatMap((type) => ['applied', 'committed'].map((at) => `event:${subscriber}:${type}:${at}`)));
}

/** A life for each point of a subscriber, since what stands at one may keep other events of that subscriber waiting; sagas are dealt out among them. */
function lives(): string[][] {
  const subscribers = eventPoints();
  const dealt: string[][] = Array.from({ length: Math.max(...subscribers.map(({ length }) => length)) }, () => []);
  for (const points of [...subscribers, sagaPoints()]) points.forEach((point, n) => dealt[n % dealt.length]!.push(point));
  return dealt;
}

interface Acknowledged {
  kind: string;
  id: string;
  paid?: boolean;
  cancelled?: boolean;
  dispatched?: boolean;
}

const setUp = await testShop(t, { settings });
const product = await setUp.product({ stock: STOCK, price: PRICE });
const customer = await setUp.customer();
const admin = await setUp.admin();
await setUp.host.stop();

const log: Acknowledged[] = [];

/** A request to a process that may die: undefined when no answer came. */
async function ask(url: string, method: string, path: string, token: string, body?: unknown) {
  try {
    const response = await fetch(`${url}/api/v1${path}`, { method, headers: { authorization: `Bearer ${token}`, ...(body !== undefined && { 'content-type': 'application/json' }) }, ...(body !== undefined && { body: JSON.stringify(body) }), signal: AbortSignal.timeout(5_000) });
    return { status: response.status, body: (await response.json()) as Record<string, never> & { id: string; status: string; items: { id: string }[] } };
  } catch {
    return undefined;
  }
}

async function place(url: string, kind: string, cardToken?: string): Promise<Acknowledged | undefined> {
  const payment = cardToken && { payment: { method: 'card', cardToken } };
  const reply = await ask(url, 'POST', '/orders', customer.token, { items: [{ productId: product.id, quantity: 1 }], shippingAddress, ...payment });
  if (reply?.status !== 201) return undefined;
  const order = { kind, id: reply.body.id };
  log.push(order);
  return order;
}

/** False when the process has died, or the order stands at a point. */
async function untilStatus(url: string, id: string, status: string): Promise<boolean> {
  const over = performance.now() + LOOKED_FOR_MS;
  for (let pauseMs = 20; performance.now() < over; pauseMs = Math.min(200, pauseMs * 1.5)) {
    const reply = await ask(url, 'GET', `/orders/${id}`, customer.token);
    if (!reply) return false;
    if (reply.body.status === status) return true;
    await sleep(pauseMs);
  }
  return false;
}

async function delivered(url: string): Promise<void> {
  const order = await place(url, 'delivered', 'tok_visa');
  if (!order || !(await untilStatus(url, order.id, 'confirmed'))) return;
  const shipments = await ask(url, 'GET', `/shipments?orderId=${order.id}`, admin.token);
  const shipment = shipments?.body.items[0]?.id;
  order.dispatched = (await ask(url, 'POST', `/shipments/${shipment}/dispatch`, admin.token))?.status === 200;
  await ask(url, 'POST', `/shipments/${shipment}/deliver`, admin.token);
}

async function paidLater(url: string): Promise<void> {
  const order = await place(url, 'paid later');
  if (!order || !(await untilStatus(url, order.id, 'awaiting_payment'))) return;
  order.paid = (await ask(url, 'POST', '/payments', customer.token, { orderId: order.id, method: 'card', cardToken: 'tok_visa' }))?.status === 201;
}

async function cancelledWaiting(url: string): Promise<void> {
  const order = await place(url, 'cancelled while it waits');
  if (order && (await untilStatus(url, order.id, 'awaiting_payment'))) order.cancelled = (await ask(url, 'POST', `/orders/${order.id}/cancel`, customer.token))?.status === 200;
}

async function cancelledConfirmed(url: string): Promise<void> {
  const order = await place(url, 'cancelled when confirmed', 'tok_visa');
  if (order && (await untilStatus(url, order.id, 'confirmed'))) order.cancelled = (await ask(url, 'POST', `/orders/${order.id}/cancel`, customer.token))?.status === 200;
}

async function trade(url: string): Promise<void> {
  await Promise.all([delivered(url), paidLater(url), cancelledWaiting(url), cancelledConfirmed(url), place(url, 'declined', 'tok_declined')]);
}

/** Some twenty times as long as a life takes on a machine that has nothing else to do. */
const PATIENCE_MS = 60_000;
const TRADE_EVERY_MS = 150;
/** More would only wait for each other on a slow machine. Those of an order that stands at a point end without it. */
const MOST_TRADES = 10;
const LOOKED_FOR_MS = 10_000;

/** One life of the shop; work that the last one left behind may bring it to some of the points before a customer comes. */
async function liveUntilKilled(processes: ReturnType<typeof shopProcesses>, points: readonly string[]): Promise<{ end: string; missed: readonly string[] }> {
  const missed = new Set(points);
  const shop = await processes.start({ adminUrl: setUp.adminUrl, settings, dieAt: points, reached: (point) => missed.delete(point) });
  const over = AbortSignal.any([AbortSignal.timeout(PATIENCE_MS), shop.hasEnded]);
  const trades = new Set<Promise<void>>();
  while (shop.url && !over.aborted) {
    if (trades.size < MOST_TRADES) {
      const one = trade(shop.url).finally(() => trades.delete(one));
      trades.add(one);
    }
    await sleep(TRADE_EVERY_MS, undefined, { signal: over }).catch(() => undefined);
  }
  const end = shop.hasEnded.aborted ? await shop.ended : 'alive';
  await shop.kill('SIGKILL');
  await Promise.all(trades);
  return { end, missed: [...missed] };
}

t.setTimeout(600_000);

t.test('every point is survived', { timeout: 540_000 }, async (t) => {
  const processes = shopProcesses(t);
  for (const points of lives()) {
    const { end, missed } = await liveUntilKilled(processes, points);
    t.equal(end, 'SIGKILL', `the process died with somebody at ${points.join(', ')}`, { missed });
  }
});

t.test('after the restart all is as if nothing had happened', async (t) => {
  const shop = await testShop(t, { settings, database: setUp.database });
  await untilAtRest(shop, 60_000);
  t.strictSame(await booksAtRest(shop), [], 'stock, money and shipments add up');
  const statuses = new Map((await shop.sql<{ id: string; status: string }>('orders', 'select id, status from customer_order')).map((row) => [row.id, row.status]));
  for (const kind of ['delivered', 'paid later', 'cancelled while it waits', 'cancelled when confirmed', 'declined']) t.ok(log.some((order) => order.kind === kind), `one that is ${kind} was acknowledged`);
  for (const order of log) t.ok(isWhereItShouldBe(order, statuses.get(order.id)), `${order.kind}, acknowledged ${JSON.stringify(order)}: ${statuses.get(order.id)}`);

  const { counts, wrong } = await mailsAtRest(shop);
  t.strictSame(wrong, [], 'each mail is there exactly once');
  for (const [what, count] of Object.entries(counts)) t.ok(count > 0, `there are mails of the kind: ${what}`);
});

function isWhereItShouldBe(order: Acknowledged, status: string | undefined): boolean {
  if (status === undefined || status === 'pending' || status === 'paid') return false;
  if (order.cancelled || order.kind === 'declined') return status === 'cancelled';
  if (order.dispatched) return status === 'shipped' || status === 'delivered';
  if (order.paid) return status === 'confirmed';
  if (order.kind === 'delivered') return ['confirmed', 'shipped', 'delivered'].includes(status);
  return true;
}
