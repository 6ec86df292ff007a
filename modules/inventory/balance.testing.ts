/** What must be true of all stock at any moment, whatever happened to it. */
import type { TestShop } from '#testing';

export interface Imbalance {
  readonly product_id: string;
  readonly on_hand: number;
  readonly reserved: number;
  /** Sum of the changes by hand. */
  readonly adjusted: number;
  /** Sum of the lines of reservations that are held. */
  readonly held: number;
  /** Sum of the lines that were committed and have not come back. */
  readonly gone: number;
}

/** Products whose numbers do not add up; none, if all is well. One statement, so it sees one moment. */
export async function imbalances(shop: TestShop): Promise<Imbalance[]> {
  return shop.sql<Imbalance>(
    'inventory',
    `with line as (
       select status, line.product_id, line.quantity
       from reservation, unnest(product_ids, quantities) as line (product_id, quantity) where status in ('reserved', 'committed')
     ), sums as (
       select stock.product_id, on_hand, reserved,
         (select coalesce(sum(delta), 0)::bigint from adjustment where adjustment.product_id = stock.product_id) as adjusted,
         (select coalesce(sum(quantity), 0)::bigint from line where line.product_id = stock.product_id and status = 'reserved') as held,
         (select coalesce(sum(quantity), 0)::bigint from line where line.product_id = stock.product_id and status = 'committed') as gone
       from stock
     )
     select * from sums where reserved <> held or on_hand <> adjusted - gone or reserved > on_hand or reserved < 0`,
  );
}
