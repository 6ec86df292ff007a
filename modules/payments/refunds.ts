/**
 * Giving money back, never more than was taken. A refund sets its amount aside before the gateway is asked:
 *
 *   (none) --setAside, under the order's lock--> pending --the gateway has carried it out--> completed
 *
 * A refund is a promise: one that the gateway does not answer stays pending, and whoever comes first asks again
 * under the same key: the same request repeated, the closing of the order, or the recovery task.
 */
import {
  type Answer,
  type Call,
  type Database,
  type DeepReadonly,
  type Idempotency,
  type InSpan,
  type KeyedRequest,
  type KeyRef,
  type Money,
  refuse,
  type Transaction,
  uuidv7,
} from '#kernel';
import type { Logger } from 'pino';
import { refundAnswer } from './answers.ts';
import { askGateway, gatewaySpan } from './ask-gateway.ts';
import { payments } from './contract.ts';
import { type Gateway, GatewayFailure } from './gateway.ts';
import { book, refunded } from './ledger.ts';
import { lockPayable } from './payable.ts';
import { money, type Payment, paymentColumns, statusAfterRefund } from './payment.ts';
import { amountToRefund, type Refund, refundColumns } from './refund.ts';

export interface RefundsInit {
  readonly db: Database;
  readonly gateway: Gateway;
  readonly keys: Idempotency;
  readonly log: Logger;
  readonly inSpan: InSpan;
  readonly timeoutMs: number;
  readonly leaseMs: number;
}

/** An administrator's wish. */
export interface RefundWish {
  readonly paymentId: string;
  /** Default: all that is left. */
  readonly amount?: DeepReadonly<Money> | undefined;
  readonly reason: string;
  readonly request: KeyedRequest;
}

interface Keyed {
  readonly requestedBy: string;
  readonly idempotencyKey: string | undefined;
}

export interface SettingAside {
  readonly amount: number;
  readonly reason: string;
  /** Milliseconds that the refund is left to whoever sets it aside; 0 when anybody may carry it out. */
  readonly leaseMs: number;
  readonly by?: Keyed;
}

const TRIES = 3;
const RECORDING_MS = 250;

export class Refunds {
  readonly #init: RefundsInit;

  constructor(init: RefundsInit) {
    this.#init = init;
  }

  /**
   * Begins a refund, goes on with one that an earlier request with the key left behind, or finds its answer.
   * @throws ContractError PAYMENT_NOT_FOUND, PAYMENT_NOT_REFUNDABLE, REFUND_EXCEEDS_PAYMENT
   */
  start(wish: RefundWish, call: Call): Promise<{ readonly answer: Answer } | { readonly refund: Refund }> {
    return this.#init.db.transaction({ call }, async (tx) => {
      const answer = await this.#init.keys.claim(tx, wish.request);
      if (answer) return { answer };
      const left = await this.#takeUp(tx, wish.request);
      if (left) return { refund: left };
      const payment = await lockPayment(tx, wish.paymentId);
      const by = { requestedBy: wish.request.ownerId, idempotencyKey: wish.request.key };
      const refund = await setAside(tx, payment, { amount: amountToRefund(payment, wish.amount), reason: wish.reason, leaseMs: this.#init.leaseMs, by });
      await this.#init.keys.begin(tx, wish.request);
      return { refund };
    });
  }

  /**
   * Has the gateway carry out a pending refund and records that.
   * @throws ContractError GATEWAY_UNAVAILABLE; the refund stays pending
   */
  async carryOut(refund: Refund, call: Call): Promise<Refund> {
    try {
      await this.#ask(refund, call);
    } catch (error) {
      if (!(error instanceof GatewayFailure)) throw error;
      this.#init.log.warn({ err: error, refundId: refund.id }, 'the card processor did not answer a refund');
      await this.#init.db.for(call).sql(`update refund set leased_until = now() where id = $1 and status = 'pending'`, [refund.id]);
      throw refuse(payments, 'GATEWAY_UNAVAILABLE', `the card processor does not answer; refund ${refund.id} is carried out as soon as it does`);
    }
    return this.#record(refund, call);
  }

  /** What an earlier request with the key left behind is the claimant's now: others find it in hand again. */
  async #takeUp(tx: Transaction, request: KeyedRequest): Promise<Refund | undefined> {
    if (request.key === undefined) return undefined;
    const [refund] = await tx.sql<Refund>(
      `update refund set leased_until = now() + $3 * interval '1 millisecond'
       where status = 'pending' and requested_by = $1 and idempotency_key = $2 returning ${refundColumns}`,
      [request.ownerId, request.key, this.#init.leaseMs],
    );
    return refund;
  }

  async #ask(refund: Refund, call: Call): Promise<void> {
    const [payment] = await this.#init.db.for(call).sql<{ transactionId: string }>('select transaction_id as "transactionId" from payment where id = $1', [
      refund.paymentId,
    ]);
    const request = { key: refund.id, transactionId: payment!.transactionId, amount: money(refund) };
    const until = Math.min(call.deadline, Date.now() + this.#init.leaseMs) - RECORDING_MS;
    const patience = { tries: TRIES, timeoutMs: this.#init.timeoutMs, until };
    await this.#init.inSpan(call, gatewaySpan('refund'), () => askGateway((signal) => this.#init.gateway.refund(request, signal), patience));
  }

  #record(pending: Refund, call: Call): Promise<Refund> {
    const key = keyOf(pending);
    return this.#init.db.transaction({ call }, async (tx) => {
      if (key) this.#init.keys.hold(tx, key);
      const payment = await lockPayment(tx, pending.paymentId);
      const [refund] = await tx.sql<Refund>(
        `update refund set status = 'completed', leased_until = null, updated_at = now() where id = $1 and status = 'pending' returning ${refundColumns}`,
        [pending.id],
      );
      if (!refund) return { ...pending, status: 'completed', leasedUntil: null };
      await countAsRefunded(tx, payment, refund.amount);
      await book(tx, refunded, { id: refund.id, orderId: refund.orderId, paymentId: payment.id, amount: money(refund) });
      tx.publish(payments.events.paymentRefunded, {
        refundId: refund.id,
        paymentId: payment.id,
        orderId: payment.orderId,
        customerId: payment.customerId,
        amount: money(refund),
        reason: refund.reason,
      });
      if (key) await this.#init.keys.finish(tx, key, refundAnswer(refund));
      return refund;
    });
  }
}

/** Sets an amount of a payment aside to be given back. The order must be locked and the amount be left. */
export async function setAside(tx: Transaction, payment: Pick<Payment, 'id' | 'orderId' | 'currency'>, refund: SettingAside): Promise<Refund> {
  await tx.sql('update payment set refunding = refunding + $2, updated_at = now() where id = $1', [payment.id, refund.amount]);
  const { requestedBy = null, idempotencyKey = null } = refund.by ?? {};
  const [row] = await tx.sql<Refund>(
    `insert into refund (id, payment_id, order_id, amount, currency, reason, status, requested_by, idempotency_key, leased_until)
     values ($1, $2, $3, $4, $5, $6, 'pending', $7, $8, now() + $9 * interval '1 millisecond') returning ${refundColumns}`,
    [uuidv7(), payment.id, payment.orderId, refund.amount, payment.currency, refund.reason, requestedBy, idempotencyKey, refund.leaseMs],
  );
  return row!;
}

/** True when no refund under the key is leased to anybody: its request died, or the processor gave it no answer. */
export async function noRefundInHand(tx: Transaction, requestedBy: string, key: string): Promise<boolean> {
  const rows = await tx.sql(
    `select 1 from refund where status = 'pending' and leased_until > now() and requested_by = $1 and idempotency_key = $2`,
    [requestedBy, key],
  );
  return rows.length === 0;
}

/** Refunds that nobody asked for, of closed orders, have none. */
function keyOf({ requestedBy, idempotencyKey }: Refund): KeyRef | undefined {
  return requestedBy ? { ownerId: requestedBy, key: idempotencyKey ?? undefined } : undefined;
}

/** Reads a payment under its order's lock, the one lock for all that concerns an order's money. */
async function lockPayment(tx: Transaction, paymentId: string): Promise<Payment> {
  const [where] = await tx.sql<{ orderId: string }>('select order_id as "orderId" from payment where id = $1', [paymentId]);
  if (!where) throw refuse(payments, 'PAYMENT_NOT_FOUND', `there is no payment ${paymentId}; check the id`);
  await lockPayable(tx, where.orderId);
  const [payment] = await tx.sql<Payment>(`select ${paymentColumns} from payment where id = $1`, [paymentId]);
  return payment!;
}

async function countAsRefunded(tx: Transaction, payment: Payment, amount: number): Promise<void> {
  await tx.sql('update payment set refunded = refunded + $2, refunding = refunding - $2, status = $3, updated_at = now() where id = $1', [
    payment.id,
    amount,
    statusAfterRefund(payment.amount, payment.refunded + amount),
  ]);
}
