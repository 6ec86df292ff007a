/** What a run has to hold in the end: the database by itself, and beside the client's own log of what was acknowledged. */
import type { Books } from './books.testing.ts';
import type { Journal, Line, Move, Payment, Placement, Refund, Wish } from './journal.testing.ts';
import type { Finding, Violations } from './result.testing.ts';
import type { Stage } from './stage.testing.ts';

interface OrderRow {
  id: string;
  customerId: string;
  total: number;
  status: string;
  mark: string;
}

interface PaymentRow {
  id: string;
  orderId: string;
  key: string | null;
  status: string;
  origin: string;
  kept: number;
}

interface RefundRow {
  id: string;
  paymentId: string;
  amount: number;
  status: string;
  mark: string;
}

interface Facts {
  readonly orders: readonly OrderRow[];
  readonly payments: readonly PaymentRow[];
  readonly refunds: readonly RefundRow[];
}

/**
 * Call it when the shop is at rest.
 * @param others customers of whom the journal knows nothing: the books have to balance with what they did, too
 */
export async function audit(books: Books, journal: Journal, stage: Stage, others: readonly string[] = []): Promise<Finding[]> {
  const facts = await readFacts(books, others);
  return [
    { claim: 'no acknowledged order is lost', violations: lostOrders(journal, facts) },
    { claim: 'nothing was done twice, and nothing that was refused', violations: [...doubledOrders(journal, facts), ...doubledPayments(journal, facts), ...doubledRefunds(journal, facts)] },
    { claim: 'each state change has its event, once', violations: await books.events() },
    { claim: 'each event was handled, once', violations: [...(await books.handled(stage.subscriptions)), ...(await books.deadLetters())] },
    { claim: 'stock, money and parcels add up', violations: [...(await books.stock()), ...(await books.money()), ...(await books.orders())] },
    { claim: 'what was bought together is counted as the orders say', violations: await books.boughtTogether() },
    { claim: 'the books agree with what was acknowledged', violations: [...statuses(journal, facts), ...unpaid(journal, facts), ...unrefunded(journal, facts), ...money(journal, facts), ...(await shelves(books, journal, facts, stage))] },
    { claim: 'no client had an answer that the shop may not give', violations: journal.complaints },
  ];
}

async function readFacts(books: Books, others: readonly string[]): Promise<Facts> {
  return {
    orders: await books.rows(`select id, customer_id as "customerId", total::float8 as total, status, shipping_address->>'line2' as mark from orders.customer_order where customer_id <> all($1)`, [others]),
    payments: await books.rows(`select id, order_id as "orderId", idempotency_key as key, status, origin, (amount - refunded)::float8 as kept from payments.payment`),
    refunds: await books.rows(`select id, payment_id as "paymentId", amount::float8 as amount, status, reason as mark from payments.refund`),
  };
}

function lostOrders({ placements }: Journal, { orders }: Facts): Violations {
  const known = new Map(orders.map((order) => [order.id, order]));
  return placements.filter(acknowledged).flatMap((placement) => {
    const order = known.get(placement.id!);
    if (!order) return [`${told(placement)} is not there`];
    const { mark, customerId, total } = order;
    return mark === placement.mark && customerId === placement.customerId && total === placement.total ? [] : [`${told(placement)} became ${JSON.stringify(order)}`];
  });
}

function doubledOrders({ placements }: Journal, { orders }: Facts): Violations {
  const marks = countBy(orders, ({ mark }) => mark);
  const wished = new Set(placements.map(({ mark }) => mark));
  const strangers = orders.filter(({ mark }) => !wished.has(mark)).map((order) => `nobody asked for ${JSON.stringify(order)}`);
  return [...strangers, ...placements.flatMap((placement) => tooOften(placement, marks.get(placement.mark) ?? 0))];
}

/** That an order is charged once at the most stands in the books; here, that a request is. */
function doubledPayments({ payments }: Journal, facts: Facts): Violations {
  const ended = facts.payments.filter(({ status, key }) => status !== 'failed' && key !== null);
  const keys = countBy(ended, ({ key }) => key!);
  return payments.filter(({ key }) => key !== undefined).flatMap((payment) => ((keys.get(payment.key!) ?? 0) > 1 ? [`${told(payment)} was charged ${keys.get(payment.key!)} times`] : []));
}

function doubledRefunds({ refunds }: Journal, facts: Facts): Violations {
  const marks = countBy(facts.refunds, ({ mark }) => mark);
  return refunds.flatMap((refund) => tooOften(refund, marks.get(refund.mark) ?? 0));
}

/** An order is where those who were told of a change of it left it, or further. */
function statuses({ placements, moves }: Journal, { orders }: Facts): Violations {
  const status = new Map(orders.map((order) => [order.id, order.status]));
  const moved = (id: string, verb: Move['verb'], ...outcomes: readonly Wish['outcome'][]) => moves.some((move) => move.mark === id && move.verb === verb && outcomes.includes(move.outcome));
  return placements.filter(acknowledged).flatMap((placement) => {
    const id = placement.id!;
    const expected = expectedStatuses(placement, {
      cancelled: moved(id, 'cancel', 'acknowledged'),
      perhapsCancelled: moved(id, 'cancel', 'asked'),
      dispatched: moved(id, 'dispatch', 'acknowledged'),
      delivered: moved(id, 'deliver', 'acknowledged'),
    });
    return expected.includes(status.get(id) ?? '') ? [] : [`${told(placement)} is ${status.get(id)}, not ${expected.join(' or ')}`];
  });
}

interface Known {
  readonly cancelled: boolean;
  readonly perhapsCancelled: boolean;
  readonly dispatched: boolean;
  readonly delivered: boolean;
}

function expectedStatuses({ card }: Placement, known: Known): readonly string[] {
  if (known.cancelled || card === 'tok_declined') return ['cancelled'];
  if (known.delivered) return ['delivered'];
  if (known.dispatched) return ['shipped', 'delivered'];
  const ends = known.perhapsCancelled ? ['cancelled'] : [];
  return card === undefined ? ['awaiting_payment', 'confirmed', ...ends] : ['confirmed', 'shipped', 'delivered', ...ends];
}

function unpaid({ payments }: Journal, facts: Facts): Violations {
  const known = new Map(facts.payments.map((payment) => [payment.id, payment]));
  const order = new Map(facts.orders.map(({ id, status }) => [id, status]));
  return payments.filter(acknowledged).flatMap((payment) => {
    const row = known.get(payment.id!);
    const taken = row !== undefined && row.orderId === payment.orderId && ['completed', 'partially_refunded', 'refunded'].includes(row.status);
    return taken && order.get(payment.orderId) !== 'awaiting_payment' ? [] : [`${told(payment)} is ${JSON.stringify(row)}, its order ${order.get(payment.orderId)}`];
  });
}

function unrefunded({ refunds }: Journal, facts: Facts): Violations {
  const known = new Map(facts.refunds.map((refund) => [refund.id, refund]));
  return refunds.filter(acknowledged).flatMap((refund) => {
    const row = known.get(refund.id!);
    return row?.status === 'completed' && row.mark === refund.mark && row.amount === refund.amount ? [] : [`${told(refund)} is ${JSON.stringify(row)}`];
  });
}

/** What is kept for each order, in the payments and by the client's own reckoning. */
function money({ placements, refunds }: Journal, { orders, payments }: Facts): Violations {
  const status = new Map(orders.map((order) => [order.id, order.status]));
  const kept = new Map<string, number>();
  for (const payment of payments.filter((each) => ['completed', 'partially_refunded', 'refunded'].includes(each.status))) kept.set(payment.orderId, (kept.get(payment.orderId) ?? 0) + payment.kept);
  return placements.filter(acknowledged).flatMap((placement) => {
    const id = placement.id!;
    const isSold = ['confirmed', 'shipped', 'delivered'].includes(status.get(id) ?? '');
    const own = refunds.filter((refund) => refund.orderId === id);
    const back = sum(own.filter(acknowledged));
    const most = isSold ? placement.total! - back : 0;
    const least = isSold ? most - sum(own.filter(({ outcome }) => outcome === 'asked')) : 0;
    const is = kept.get(id) ?? 0;
    return is >= least && is <= most ? [] : [`for ${told(placement)} ${is} are kept, not ${least} to ${most}`];
  });
}

/** What is left on the shelf is what was put there but for what was sold. */
async function shelves(books: Books, { placements }: Journal, { orders }: Facts, stage: Stage): Promise<Violations> {
  const byMark = new Map(placements.map((placement) => [placement.mark, placement]));
  const stock = await books.rows<{ productId: string; onHand: number; reserved: number }>(`select product_id as "productId", on_hand::float8 as "onHand", reserved::float8 as reserved from inventory.stock where product_id = any($1)`, [stage.products]);
  const linesOf = ({ mark }: OrderRow): readonly Line[] => byMark.get(mark)?.items ?? [];
  const pieces = (productId: string, ...statusesOf: readonly string[]) =>
    orders.filter(({ status }) => statusesOf.includes(status)).flatMap(linesOf).filter((line) => line.productId === productId).reduce((total, { quantity }) => total + quantity, 0);
  return stock.flatMap(({ productId, onHand, reserved }) => {
    const wanted = { onHand: stage.stock - pieces(productId, 'confirmed', 'shipped', 'delivered'), reserved: pieces(productId, 'awaiting_payment') };
    return onHand === wanted.onHand && reserved === wanted.reserved ? [] : [`of ${productId} there are ${onHand}, ${reserved} of them reserved, not ${wanted.onHand} and ${wanted.reserved}`];
  });
}

function acknowledged({ outcome }: Wish): boolean {
  return outcome === 'acknowledged';
}

function tooOften(wish: Placement | Refund, times: number): Violations {
  const most = wish.outcome === 'refused' ? 0 : 1;
  return times > most ? [`${told(wish)} was done ${times} times`] : [];
}

function told(wish: Placement | Payment | Refund): string {
  return JSON.stringify(wish);
}

function sum(refunds: readonly Refund[]): number {
  return refunds.reduce((total, { amount }) => total + amount, 0);
}

function countBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(keyOf(item), (counts.get(keyOf(item)) ?? 0) + 1);
  return counts;
}
