/** Do stock and money add up, seen from all modules' tables at once? Only a test may look so far. */
import type { TestShop } from '#testing';

/** Violations that may not be seen at any moment, whatever is under way. */
export async function booksThatNeverFail(shop: TestShop): Promise<string[]> {
  return [...(await stockBooks(shop)), ...(await moneyBooks(shop))];
}

/** Violations that may not be left when nothing is under way any more. */
export async function booksAtRest(shop: TestShop): Promise<string[]> {
  const status = await statuses(shop);
  return [...(await booksThatNeverFail(shop)), ...(await reservationsAtRest(shop, status)), ...(await paymentsAtRest(shop, status)), ...(await shipmentsAtRest(shop, status))];
}

/** Waits until every saga rests, every outbox is empty and nothing is parked. */
export async function untilAtRest(shop: TestShop, timeoutMs = 30_000): Promise<void> {
  const busy: [string, string][] = [
    ['orders', `select 1 from orders_outbox.saga where status in ('running', 'compensating') limit 1`],
    ...['orders', 'payments', 'shipping', 'inventory', 'catalog'].flatMap((module): [string, string][] => [
      [module, `select 1 from ${module}_outbox.job where name = 'events' and state < 'active' limit 1`],
      [module, `select 1 from ${module}_outbox.event_delivery where state = 'waiting' limit 1`],
    ]),
    ['payments', `select 1 from payments.payment where status = 'pending' union all select 1 from payments.refund where status = 'pending' limit 1`],
  ];
  await shop.until(async () => (await Promise.all(busy.map(async ([module, sql]) => shop.sql(module, sql)))).every((rows) => rows.length === 0), 'the shop to come to rest', timeoutMs);
}

async function stockBooks(shop: TestShop): Promise<string[]> {
  const rows = await shop.sql<{ product_id: string; on_hand: number; reserved: number; held: number; put: number; gone: number }>(
    'inventory',
    `with line as (select status, unnest(product_ids) as product_id, unnest(quantities) as quantity from reservation)
     select product_id, on_hand, reserved,
       coalesce((select sum(quantity) from line l where l.product_id = s.product_id and status = 'reserved'), 0)::bigint as held,
       coalesce((select sum(quantity) from line l where l.product_id = s.product_id and status = 'committed'), 0)::bigint as gone,
       coalesce((select sum(delta) from adjustment a where a.product_id = s.product_id), 0)::bigint as put
     from stock s`,
  );
  return rows
    .filter((row) => row.reserved !== row.held || row.on_hand !== row.put - row.gone || row.reserved > row.on_hand)
    .map((row) => `stock does not add up: ${JSON.stringify(row)}`);
}

async function moneyBooks(shop: TestShop): Promise<string[]> {
  const unbalanced = await shop.sql('payments', 'select transaction_id from ledger_entry group by transaction_id, currency having sum(debit) <> sum(credit)');
  const twice = await shop.sql(
    'payments',
    `select p.order_id from simulator_charge c join payment p on p.id::text = c.key where c.outcome = 'approved' group by p.order_id having count(*) > 1`,
  );
  const booked = await shop.sql(
    'payments',
    `select p.id, p.amount, p.refunded from payment p where p.status in ('completed', 'partially_refunded', 'refunded')
     and p.amount - p.refunded <> (select coalesce(sum(debit - credit), 0) from ledger_entry e where e.payment_id = p.id and account = 'gateway_receivable')`,
  );
  return [
    ...unbalanced.map((row) => `a ledger transaction does not balance: ${JSON.stringify(row)}`),
    ...twice.map((row) => `an order was charged twice: ${JSON.stringify(row)}`),
    ...booked.map((row) => `a payment is not booked as it is: ${JSON.stringify(row)}`),
  ];
}

async function statuses(shop: TestShop): Promise<Map<string, string>> {
  const rows = await shop.sql<{ id: string; status: string }>('orders', 'select id, status from customer_order');
  return new Map(rows.map((row) => [row.id, row.status]));
}

const ENDED_EARLY = new Set(['cancelled', 'rejected']);
const SOLD = new Set(['confirmed', 'shipped', 'delivered']);

async function reservationsAtRest(shop: TestShop, status: Map<string, string>): Promise<string[]> {
  const rows = await shop.sql<{ order_id: string; status: string }>('inventory', 'select order_id, status from reservation');
  const expected = (order: string | undefined) => (SOLD.has(order ?? '') ? ['committed'] : order === 'awaiting_payment' ? ['reserved'] : ['released', 'out_of_stock', 'expired']);
  return rows.filter((row) => status.has(row.order_id) && !expected(status.get(row.order_id)).includes(row.status)).map((row) => `order ${row.order_id} is ${status.get(row.order_id)}, its stock ${row.status}`);
}

async function paymentsAtRest(shop: TestShop, status: Map<string, string>): Promise<string[]> {
  const rows = await shop.sql<{ order_id: string; kept: number; taken: boolean }>(
    'payments',
    `select order_id, sum(amount - refunded)::bigint as kept, true as taken from payment where status in ('completed', 'partially_refunded', 'refunded') group by order_id`,
  );
  const taken = new Map(rows.map((row) => [row.order_id, row.kept]));
  return [...status].flatMap(([id, order]) => {
    if (ENDED_EARLY.has(order) && (taken.get(id) ?? 0) !== 0) return [`order ${id} is ${order}, but ${taken.get(id)} was kept`];
    if (SOLD.has(order) && !taken.has(id)) return [`order ${id} is ${order}, but nothing was taken`];
    return [];
  });
}

async function shipmentsAtRest(shop: TestShop, status: Map<string, string>): Promise<string[]> {
  const rows = await shop.sql<{ order_id: string; status: string }>('shipping', 'select order_id, status from shipment');
  const shipped = new Map(rows.map((row) => [row.order_id, row.status]));
  const fits: Record<string, string> = { confirmed: 'preparing', shipped: 'dispatched', delivered: 'delivered' };
  return [...status].filter(([id, order]) => fits[order] !== undefined && shipped.get(id) !== fits[order]).map(([id, order]) => `order ${id} is ${order}, its shipment ${shipped.get(id)}`);
}
