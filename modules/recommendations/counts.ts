/**
 * Counts orders. Of one order in one counting:
 *
 *   (none) --it is bought--> counted
 *   counted --it is cancelled--> cancelled (taken back)
 *   (none) --it is cancelled--> cancelled; nothing counts it later
 *
 * So the count is the same in whatever order and however often an event and the history tell of an order. Who counts
 * holds the rows of the live countings first: the pairs that two orders share are not locked crosswise, and a counting
 * that begins has seen every change that it is not told of.
 */
import type { Transaction } from '#kernel';

/** An order with the products that it pairs. */
export interface Basket {
  readonly orderId: string;
  readonly productIds: readonly string[];
}

/** Ids of the countings that take part: the current one, and the one that is being made. */
export async function liveCountings(tx: Transaction): Promise<string[]> {
  const rows = await tx.sql<{ id: string }>(`select id from counting where status <> 'outdated' order by id for no key update`);
  return rows.map(({ id }) => id);
}

/** @param countings from `liveCountings`, whose locks decide between two that count the same order */
export function count(tx: Transaction, countings: readonly string[], { orderId, productIds }: Basket): void {
  tx.later(
    `with added as (
       insert into basket (counting_id, order_id, status, product_ids) select unnest($1::uuid[]), $2, 'counted', $3::uuid[]
       on conflict do nothing returning counting_id, product_ids)
     insert into pair (counting_id, product_id, companion_id, orders)
     select counting_id, one, other, 1 from added, unnest(product_ids) one, unnest(product_ids) other where one <> other
     on conflict (counting_id, product_id, companion_id) do update set orders = pair.orders + 1`,
    [countings, orderId, productIds],
  );
}

/** @param countings from `liveCountings` */
export function takeBack(tx: Transaction, countings: readonly string[], orderId: string): void {
  tx.later(
    `with undone as (
       update basket set status = 'cancelled' where counting_id = any($1::uuid[]) and order_id = $2 and status = 'counted'
       returning counting_id, product_ids),
     barred as (
       insert into basket (counting_id, order_id, status, product_ids) select unnest($1::uuid[]), $2, 'cancelled', '{}'
       on conflict do nothing)
     update pair set orders = orders - 1
     from (select counting_id, one, other from undone, unnest(product_ids) one, unnest(product_ids) other where one <> other) as gone
     where pair.counting_id = gone.counting_id and product_id = one and companion_id = other`,
    [countings, orderId],
  );
}
