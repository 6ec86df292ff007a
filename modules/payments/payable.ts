/**
 * What may be charged: one row per order. Whoever changes anything about an order's money locks it first.
 *
 *   absent --open, charge--> open --a charge is booked--> paid
 *   absent | open | paid --close--> closed (for good; as a tombstone where the order was never opened)
 */
import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import type { DeepReadonly, Money, Sql, Transaction } from '#kernel';

const statuses = ['open', 'paid', 'closed'] as const;
export type PayableStatus = (typeof statuses)[number];

export const PayableEntity = defineEntity({
  name: 'Payable',
  tableName: 'payable',
  properties: {
    orderId: p.uuid().primary(),
    /** Null in a tombstone that nobody named the customer of. */
    customerId: p.uuid().nullable(),
    /** Null in a tombstone, as is the currency. */
    amount: p.bigint('number').nullable(),
    currency: p.text().nullable(),
    status: p.enum(statuses),
    closeReason: p.text().nullable(),
    createdAt: p.datetime().columnType('timestamptz').defaultRaw('now()'),
    updatedAt: p.datetime().columnType('timestamptz').defaultRaw('now()'),
  },
  checks: [
    { name: 'payable_amount_check', expression: 'amount >= 0' },
    {
      name: 'payable_is_whole_unless_closed',
      expression: "status = 'closed' or (customer_id is not null and amount is not null and currency is not null)",
    },
  ],
});
export type Payable = Pick<InferEntity<typeof PayableEntity>, 'orderId' | 'customerId' | 'amount' | 'currency' | 'status' | 'closeReason'>;

export interface Opening {
  readonly orderId: string;
  readonly customerId: string;
  readonly amount: DeepReadonly<Money>;
}

const columns = 'order_id as "orderId", status, customer_id as "customerId", amount, currency, close_reason as "closeReason"';

export async function lockPayable(tx: Transaction, orderId: string): Promise<Payable | undefined> {
  const [row] = await tx.sql<Payable>(`select ${columns} from payable where order_id = $1 for update`, [orderId]);
  return row;
}

/** The first opening counts. One that comes after `close` only tells the tombstone whose order it was. */
export async function openPayable(sql: Sql, { orderId, customerId, amount }: Opening): Promise<PayableStatus> {
  const [changed] = await sql.sql<{ status: PayableStatus }>(
    `insert into payable (order_id, customer_id, amount, currency, status) values ($1, $2, $3, $4, 'open')
     on conflict (order_id) do update
       set customer_id = coalesce(payable.customer_id, excluded.customer_id), amount = excluded.amount, currency = excluded.currency, updated_at = now()
       where payable.amount is null
     returning status`,
    [orderId, customerId, amount.amount, amount.currency],
  );
  if (changed) return changed.status;
  const [row] = await sql.sql<{ status: PayableStatus }>('select status from payable where order_id = $1', [orderId]);
  return row!.status;
}

export async function closePayable(tx: Transaction, closing: { orderId: string; reason: string; customerId?: string | undefined }): Promise<void> {
  await tx.sql(
    `insert into payable (order_id, customer_id, status, close_reason) values ($1, $2, 'closed', $3)
     on conflict (order_id) do update
       set status = 'closed', close_reason = coalesce(payable.close_reason, excluded.close_reason),
         customer_id = coalesce(payable.customer_id, excluded.customer_id), updated_at = now()`,
    [closing.orderId, closing.customerId ?? null, closing.reason],
  );
}

export async function markPaid(tx: Transaction, orderId: string): Promise<void> {
  await tx.sql(`update payable set status = 'paid', updated_at = now() where order_id = $1`, [orderId]);
}

export async function isPayableOf(sql: Sql, orderId: string, customerId: string): Promise<boolean> {
  return (await sql.sql('select 1 from payable where order_id = $1 and customer_id = $2', [orderId, customerId])).length > 0;
}
