/** An attempt to charge an order: the row, and the rules that say what may be done next. */
import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import type { Money } from '#kernel';
import { PayableEntity, type PayableStatus } from './payable.ts';

const statuses = ['pending', 'completed', 'declined', 'failed', 'partially_refunded', 'refunded'] as const;
export type PaymentStatus = (typeof statuses)[number];

const origins = ['customer', 'fulfilment'] as const;
/** Who wanted the charge: the customer through POST /payments, or an order's fulfilment through `charge`. */
export type Origin = (typeof origins)[number];

export const PaymentEntity = defineEntity({
  name: 'Payment',
  tableName: 'payment',
  properties: {
    id: p.uuid().primary(),
    orderId: () => p.manyToOne(PayableEntity).mapToPk().fieldName('order_id'),
    customerId: p.uuid(),
    amount: p.bigint('number'),
    currency: p.text(),
    status: p.enum(statuses),
    origin: p.enum(origins),
    transactionId: p.text().nullable(),
    message: p.text().default(''),
    /** Given back so far. */
    refunded: p.bigint('number').defaultRaw('0'),
    /** On its way back: set aside by refunds that the gateway has not confirmed yet. */
    refunding: p.bigint('number').defaultRaw('0'),
    idempotencyKey: p.text().nullable(),
    /** While pending: until then whoever began the attempt is at it; after that anybody may bring it to its end. */
    leasedUntil: p.datetime().columnType('timestamptz').nullable(),
    createdAt: p.datetime().columnType('timestamptz').defaultRaw('now()'),
    updatedAt: p.datetime().columnType('timestamptz').defaultRaw('now()'),
  },
  checks: [
    { name: 'payment_gives_back_no_more_than_it_took', expression: 'refunded >= 0 and refunding >= 0 and refunded + refunding <= amount' },
    { name: 'payment_is_leased_while_pending', expression: "(status = 'pending') = (leased_until is not null)" },
    { name: 'payment_taken_has_a_transaction', expression: "transaction_id is not null or status in ('pending', 'declined', 'failed')" },
  ],
  indexes: [
    { name: 'payment_of_order', properties: ['orderId', 'id'] },
    { name: 'payment_abandoned', properties: ['leasedUntil'], where: "status = 'pending'" },
  ],
  uniques: [
    { name: 'payment_one_pending', properties: ['orderId'], where: "status = 'pending'" },
    { name: 'payment_one_taken', properties: ['orderId'], where: "status in ('completed', 'partially_refunded', 'refunded')" },
  ],
});
export type Payment = InferEntity<typeof PaymentEntity>;

/** The row's columns under the entity's names, for SQL. */
export const paymentColumns = `id, order_id as "orderId", customer_id as "customerId", amount, currency, status, origin,
  transaction_id as "transactionId", message, refunded, refunding, idempotency_key as "idempotencyKey",
  leased_until as "leasedUntil", created_at as "createdAt", updated_at as "updatedAt"`;

/** A payment as the rules need to see it; `leased`: somebody is at it. */
export type Seen = Pick<Payment, 'status' | 'origin'> & { readonly leased: boolean };

/**
 * Where an order stands for somebody who wants to charge it.
 * - paid: money was taken already
 * - declined: fulfilment's charge was declined already, which it is told again instead of asking twice
 * - in_hand: somebody else is at it; abandoned: somebody was; own: the asker's own attempt, which goes on
 */
export type Standing<P extends Seen = Seen> =
  | { readonly is: 'closed' }
  | { readonly is: 'free' }
  | { readonly is: 'paid'; readonly payment: P }
  | { readonly is: 'declined'; readonly payment: P }
  | { readonly is: 'in_hand'; readonly payment: P }
  | { readonly is: 'abandoned'; readonly payment: P }
  | { readonly is: 'own'; readonly payment: P };

/** An order is charged only while it is open, unpaid and nobody else is charging it. */
export function standingOf<P extends Seen>(order: PayableStatus, payments: readonly P[], asker: Origin): Standing<P> {
  if (order === 'closed') return { is: 'closed' };
  const taken = payments.find((payment) => moneyWasTaken(payment.status));
  if (taken) return { is: 'paid', payment: taken };
  const pending = payments.find((payment) => payment.status === 'pending');
  if (pending) return standingOfAttempt(pending, asker);
  const declined = payments.find((payment) => payment.status === 'declined' && payment.origin === 'fulfilment');
  return declined && asker === 'fulfilment' ? { is: 'declined', payment: declined } : { is: 'free' };
}

/** Fulfilment repeats one and the same charge, so its own attempt goes on however it was left. */
function standingOfAttempt<P extends Seen>(payment: P, asker: Origin): Standing<P> {
  if (asker === 'fulfilment' && payment.origin === 'fulfilment') return { is: 'own', payment };
  return payment.leased ? { is: 'in_hand', payment } : { is: 'abandoned', payment };
}

export function moneyWasTaken(status: PaymentStatus): boolean {
  return status === 'completed' || status === 'partially_refunded' || status === 'refunded';
}

/** What is neither given back nor on its way back. */
export function leftToRefund(payment: Pick<Payment, 'amount' | 'refunded' | 'refunding'>): number {
  return payment.amount - payment.refunded - payment.refunding;
}

export function statusAfterRefund(amount: number, refunded: number): PaymentStatus {
  return refunded === amount ? 'refunded' : 'partially_refunded';
}

export function money(row: { amount: number; currency: string }): Money {
  return { amount: row.amount, currency: row.currency };
}
