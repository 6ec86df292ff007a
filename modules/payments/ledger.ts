/**
 * The books: double entry, append-only. A charge moves what the gateway owes us up against sales; a refund
 * moves it down against refunds. Corrections are new transactions. The database refuses changes, transactions
 * that do not balance and a second booking of the same payment or refund.
 */
import { type Money, type Transaction, uuidv7 } from '#kernel';

export type Account = 'gateway_receivable' | 'sales' | 'refunds';

export interface Posting {
  readonly debit: Account;
  readonly credit: Account;
}

export const charged: Posting = { debit: 'gateway_receivable', credit: 'sales' };
export const refunded: Posting = { debit: 'refunds', credit: 'gateway_receivable' };

export interface LedgerTransaction {
  /** Id of the payment or refund that is booked. */
  readonly id: string;
  readonly orderId: string;
  readonly paymentId: string;
  readonly amount: Money;
}

/** Books both sides at once. An order that cost nothing leaves nothing to book. */
export async function book(tx: Transaction, posting: Posting, of: LedgerTransaction): Promise<void> {
  if (of.amount.amount === 0) return;
  await tx.sql(
    `insert into ledger_entry (id, transaction_id, account, order_id, payment_id, debit, credit, currency)
     values ($1, $3, $4, $6, $7, $8, 0, $9), ($2, $3, $5, $6, $7, 0, $8, $9)`,
    [uuidv7(), uuidv7(), of.id, posting.debit, posting.credit, of.orderId, of.paymentId, of.amount.amount, of.amount.currency],
  );
}
