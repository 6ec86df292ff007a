/** The SQL of orders: few round trips on the hot path, the same statements in all places that change an order. */
import { type EventEnvelope, type Sql, type Transaction, uuidv7 } from '#kernel';
import type { OrderStatus, PricedLine } from './order.ts';

export interface OrderRow {
  id: string;
  customer_id: string;
  status: OrderStatus;
  status_reason: string | null;
  total: number;
  currency: string;
  pays_later: boolean;
  shipping_address: Record<string, string>;
  created_at: Date;
  updated_at: Date;
  items: { productId: string; name: string; quantity: number; unitPrice: number }[];
}

export interface NewOrder {
  readonly id: string;
  readonly customerId: string;
  readonly lines: readonly PricedLine[];
  readonly total: { amount: number; currency: string };
  readonly paysLater: boolean;
  readonly shippingAddress: object;
  readonly at: Date;
}

const WITH_ITEMS = `select o.*, (select json_agg(json_build_object('productId', i.product_id, 'name', i.name, 'quantity', i.quantity, 'unitPrice', i.unit_price) order by i.line)
  from order_item i where i.order_id = o.id) as items from customer_order o`;

/** Order, lines and first history entry in one statement. */
export function insertOrder(tx: Transaction, order: NewOrder): void {
  const { lines } = order;
  tx.later(
    `with placed as (
       insert into customer_order (id, customer_id, status, total, currency, pays_later, shipping_address, created_at, updated_at)
       values ($1, $2, 'pending', $3, $4, $5, $6, $7, $7)
     ), lines as (
       insert into order_item (order_id, line, product_id, name, quantity, unit_price)
       select $1, row_number() over (), * from unnest($8::uuid[], $9::text[], $10::int[], $11::bigint[])
     ) insert into order_event (id, order_id, event, detail, at) values ($12, $1, 'order_placed', $13, $7)`,
    [
      order.id, order.customerId, order.total.amount, order.total.currency, order.paysLater, JSON.stringify(order.shippingAddress), order.at,
      lines.map((line) => line.productId), lines.map((line) => line.name), lines.map((line) => line.quantity), lines.map((line) => line.unitPrice.amount),
      uuidv7(), `${lines.length} ${lines.length === 1 ? 'product' : 'products'}`,
    ],
  );
}

export async function findOrder(db: Sql, id: string): Promise<OrderRow | undefined> {
  const [row] = await db.sql<OrderRow>(`${WITH_ITEMS} where o.id = $1`, [id]);
  return row;
}

/** Newest first; `customerId` narrows to one customer. */
export async function listOrders(db: Sql, filter: { customerId: string | null; before: string | null; limit: number }): Promise<OrderRow[]> {
  return db.sql<OrderRow>(`${WITH_ITEMS} where ($1::uuid is null or o.customer_id = $1) and ($2::uuid is null or o.id < $2) order by o.id desc limit $3`, [
    filter.customerId,
    filter.before,
    filter.limit,
  ]);
}

/** Oldest first, for read models. */
export async function ordersAfter(db: Sql, after: string | null, limit: number): Promise<OrderRow[]> {
  return db.sql<OrderRow>(`${WITH_ITEMS} where ($1::uuid is null or o.id > $1) order by o.id limit $2`, [after, limit]);
}

/** Locks an order's row against moves, not against entries of its history. @returns undefined where there is no such order */
export async function lockOrder(tx: Transaction, id: string): Promise<{ status: OrderStatus; reason: string | null } | undefined> {
  const [row] = await tx.sql<{ status: OrderStatus; reason: string | null }>('select status, status_reason as reason from customer_order where id = $1 for no key update', [id]);
  return row;
}

/** An event of another module about an order. */
export type Report = EventEnvelope<{ orderId: string }>;

export interface OrderMove {
  readonly id: string;
  readonly from: readonly OrderStatus[];
  readonly to: OrderStatus;
  readonly reason?: string;
  readonly event: string;
  readonly detail: string;
}

const MOVE = `with moved as (
    update customer_order set status = $3, status_reason = coalesce($4, status_reason), updated_at = $7 where id = $1 and status = any($2) returning id
  ) insert into order_event (id, order_id, event, detail, at) select $8, id, $5, $6, $7 from moved returning 1`;

/** Moves an order and records it; false when it is not in one of the statuses that the move starts from. */
export async function moveOrder(tx: Transaction, move: OrderMove): Promise<boolean> {
  return (await tx.sql(MOVE, moveParams(move))).length === 1;
}

/** As `moveOrder`, where nothing depends on it: no event may be published after it, since its row is locked later. */
export function moveOrderLater(tx: Transaction, move: OrderMove): void {
  tx.later(MOVE, moveParams(move));
}

function moveParams(move: OrderMove): unknown[] {
  return [move.id, move.from, move.to, move.reason ?? null, move.event, move.detail, new Date(), uuidv7()];
}

/** Records something that did not change the status. */
export function recordHistory(tx: Transaction, orderId: string, event: string, detail: string): void {
  tx.later('insert into order_event (id, order_id, event, detail, at) select $1, $2, $3, $4, $5 where exists (select 1 from customer_order where id = $2)', [uuidv7(), orderId, event, detail, new Date()]);
}

/**
 * Records what another module has reported of an order, at the time at which it happened there. The entry has the event's id: one that
 * is delivered again changes nothing.
 */
export function recordReport(tx: Transaction, { id, occurredAt, data }: Report, event: string, detail: string): void {
  tx.later('insert into order_event (id, order_id, event, detail, at) select $1, $2, $3, $4, $5 where exists (select 1 from customer_order where id = $2) on conflict (id) do nothing', [id, data.orderId, event, detail, occurredAt]);
}

/** What a module that depends on orders has to say of an order. */
export interface Fact {
  /** Becomes the entry's id. */
  readonly factId: string;
  readonly orderId: string;
  readonly at: string;
  readonly event: string;
  readonly detail: string;
}

// In the order of orders, as everybody should lock more than one of them: an entry locks its order against a change of its key.
const RECORD_FACTS = `with fact as (
    select f.*, exists (select 1 from customer_order o where o.id = f.order_id) as is_known
    from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[]) as f (id, order_id, event, detail, at)
  ), recorded as (
    insert into order_event (id, order_id, event, detail, at) select id, order_id, event, detail, at from fact where is_known order by order_id, id
    on conflict (id) do nothing
  ) select id from fact where not is_known`;

/** @returns ids of the facts whose order does not exist; the others are on record, whether by this call or by an earlier one */
export async function recordFacts(db: Sql, facts: readonly Fact[]): Promise<string[]> {
  const columns = (['factId', 'orderId', 'event', 'detail', 'at'] as const).map((key) => facts.map((fact) => fact[key]));
  const rows = await db.sql<{ id: string }>(RECORD_FACTS, columns);
  return rows.map(({ id }) => id);
}

/** Records that stock is free again, where some was reserved and has not run out of time. */
export function recordRelease(tx: Transaction, orderId: string): void {
  tx.later(
    `insert into order_event (id, order_id, event, detail, at) select $1, $2, 'stock_released', 'The pieces are free again', $3
     where exists (select 1 from order_event where order_id = $2 and event = 'stock_reserved')
       and not exists (select 1 from order_event where order_id = $2 and event = 'reservation_expired')`,
    [uuidv7(), orderId, new Date()],
  );
}

export async function historyOf(db: Sql, orderId: string): Promise<{ at: Date; event: string; detail: string }[]> {
  return db.sql('select at, event, detail from order_event where order_id = $1 order by at, id', [orderId]);
}
