/** Money on its way back to a customer: the row, and the rule for how much may be given back. */
import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import { CallError, type DeepReadonly, type Money, refuse } from '#kernel';
import { payments } from './contract.ts';
import { leftToRefund, moneyWasTaken, type Payment, PaymentEntity } from './payment.ts';

export const RefundEntity = defineEntity({
  name: 'Refund',
  tableName: 'refund',
  properties: {
    id: p.uuid().primary(),
    paymentId: () => p.manyToOne(PaymentEntity).mapToPk().fieldName('payment_id'),
    orderId: p.uuid(),
    amount: p.bigint('number'),
    currency: p.text(),
    reason: p.text(),
    status: p.enum(['pending', 'completed']),
    /** The administrator; null where a closed order gave its money back. */
    requestedBy: p.uuid().nullable(),
    idempotencyKey: p.text().nullable(),
    leasedUntil: p.datetime().columnType('timestamptz').nullable(),
    createdAt: p.datetime().columnType('timestamptz').defaultRaw('now()'),
    updatedAt: p.datetime().columnType('timestamptz').defaultRaw('now()'),
  },
  checks: [
    { name: 'refund_amount_check', expression: 'amount > 0' },
    { name: 'refund_is_leased_while_pending', expression: "(status = 'pending') = (leased_until is not null)" },
  ],
  indexes: [
    { name: 'refund_of_order', properties: ['orderId', 'id'] },
    { name: 'refund_abandoned', properties: ['leasedUntil'], where: "status = 'pending'" },
  ],
});
export type Refund = InferEntity<typeof RefundEntity>;

/** The row's columns under the entity's names, for SQL. */
export const refundColumns = `id, payment_id as "paymentId", order_id as "orderId", amount, currency, reason, status,
  requested_by as "requestedBy", idempotency_key as "idempotencyKey", leased_until as "leasedUntil",
  created_at as "createdAt", updated_at as "updatedAt"`;

type Refundable = Pick<Payment, 'id' | 'status' | 'amount' | 'currency' | 'refunded' | 'refunding'>;

/**
 * No more is given back than was taken; without a wish, all that is left.
 * @throws ContractError PAYMENT_NOT_REFUNDABLE, REFUND_EXCEEDS_PAYMENT
 * @throws CallError VALIDATION_FAILED for another currency
 */
export function amountToRefund(payment: Refundable, wish: DeepReadonly<Money> | undefined): number {
  if (!moneyWasTaken(payment.status)) {
    throw refuse(payments, 'PAYMENT_NOT_REFUNDABLE', `payment ${payment.id} is ${payment.status}: nothing was taken that could be given back`);
  }
  if (wish && wish.currency !== payment.currency) throw otherCurrency(payment, wish);
  const left = leftToRefund(payment);
  const amount = wish?.amount ?? left;
  if (amount === 0 || amount > left) {
    const detail = `${amount} ${payment.currency} cannot be given back: ${left} of payment ${payment.id} are left; refund no more than that`;
    throw refuse(payments, 'REFUND_EXCEEDS_PAYMENT', detail, { left: { amount: left, currency: payment.currency } });
  }
  return amount;
}

function otherCurrency(payment: Refundable, wish: DeepReadonly<Money>): CallError {
  const message = `must be ${payment.currency}, the payment's currency`;
  return new CallError('VALIDATION_FAILED', `a refund in ${wish.currency} was asked for a payment in ${payment.currency}; use the payment's currency`, {
    errors: [{ path: '/amount/currency', message }],
  });
}
