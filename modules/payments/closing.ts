/** Ending an order's payments: nothing is taken from now on, and all that was taken goes back. */
import type { Call, Database, DeepReadonly, Input, Money, Output, Sql, Transaction } from '#kernel';
import type { Charges } from './charges.ts';
import type { payments } from './contract.ts';
import { closePayable } from './payable.ts';
import { leftToRefund, moneyWasTaken, type Payment, paymentColumns } from './payment.ts';
import { type Refund, refundColumns } from './refund.ts';
import { type Refunds, setAside } from './refunds.ts';

type CloseInput = DeepReadonly<Input<typeof payments.operations.close>>;
type CloseOutput = Output<typeof payments.operations.close>;

export interface ClosingInit {
  readonly db: Database;
  readonly charges: Charges;
  readonly refunds: Refunds;
  readonly leaseMs: number;
}

/**
 * An attempt in flight is voided at the gateway, whoever is at it: either it was booked, then it counts and is
 * refunded, or it never will be. Repeating this goes on where it was left.
 * @throws ContractError GATEWAY_UNAVAILABLE; what is missing is made up for by repeating, or by the recovery task
 */
export async function closeOrder(init: ClosingInit, input: CloseInput, call: Call): Promise<CloseOutput> {
  const inFlight = await init.db.transaction({ call }, async (tx) => {
    await closePayable(tx, input);
    return setAllAside(tx, input, init.leaseMs);
  });
  if (inFlight) await init.charges.resolve(inFlight, call);
  for (const refund of await pendingRefunds(init.db.for(call), input.orderId)) await init.refunds.carryOut(refund, call);
  return { refunded: await givenBack(init.db.for(call), input.orderId) };
}

/** @returns the attempt that is in flight, if there is one */
async function setAllAside(tx: Transaction, { orderId, reason }: CloseInput, leaseMs: number): Promise<Payment | undefined> {
  const rows = await tx.sql<Payment>(`select ${paymentColumns} from payment where order_id = $1 and status not in ('declined', 'failed')`, [orderId]);
  for (const payment of rows.filter(({ status }) => moneyWasTaken(status))) {
    const amount = leftToRefund(payment);
    if (amount > 0) await setAside(tx, payment, { amount, reason, leaseMs });
  }
  return rows.find(({ status }) => status === 'pending');
}

function pendingRefunds(db: Sql, orderId: string): Promise<Refund[]> {
  return db.sql<Refund>(`select ${refundColumns} from refund where order_id = $1 and status = 'pending' order by id`, [orderId]);
}

/** An order is paid by one payment at the most, so there is one currency. */
async function givenBack(db: Sql, orderId: string): Promise<Money | null> {
  const [row] = await db.sql<Money>('select refunded as amount, currency from payment where order_id = $1 and refunded > 0', [orderId]);
  return row ?? null;
}
