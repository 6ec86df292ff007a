/**
 * Charging an order at most once. The attempt is written down before the gateway is asked, and the gateway is
 * asked under the attempt's id, so that whatever breaks in between can be found out:
 *
 *   (none) --start--> pending, leased to whoever started it
 *   pending --the gateway approves--> completed (where the order was closed meanwhile: with a refund of all of it)
 *   pending --the gateway declines--> declined
 *   pending --voided at the gateway--> failed
 *
 * A pending attempt whose lease is over has lost its worker. A customer's is voided: nobody waits for that
 * charge any more, and if it was booked after all the gateway says so and it counts. Fulfilment's own waits for
 * fulfilment, which repeats the same charge or closes the order. Leases only spare the gateway double work;
 * that money moves once rests on the gateway's keys and on `status = 'pending'` in the recording statement.
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
import { answerTo } from './answers.ts';
import { askGateway, gatewaySpan } from './ask-gateway.ts';
import { payments } from './contract.ts';
import { type Booking, type Gateway, GatewayFailure } from './gateway.ts';
import { book, charged } from './ledger.ts';
import { lockPayable, markPaid, openPayable, type Payable, type PayableStatus } from './payable.ts';
import { money, type Origin, type Payment, paymentColumns, type Standing, standingOf } from './payment.ts';
import { setAside } from './refunds.ts';

export interface ChargesInit {
  readonly db: Database;
  readonly gateway: Gateway;
  readonly keys: Idempotency;
  readonly log: Logger;
  readonly inSpan: InSpan;
  /** Milliseconds per question to the gateway. */
  readonly timeoutMs: number;
  /** Milliseconds after which an attempt is taken for abandoned. */
  readonly leaseMs: number;
}

/** Somebody's wish to charge an order. */
export interface Wish {
  readonly orderId: string;
  readonly customerId: string;
  readonly origin: Origin;
  /** Fulfilment's: the order becomes payable by this if it was not. */
  readonly amount?: DeepReadonly<Money>;
  /** The customer's: replayed if it was answered. */
  readonly request?: KeyedRequest;
}

type Attempt = Payment & { readonly leased: boolean };

export type Start =
  | Exclude<Standing<Attempt>, { is: 'free' }>
  /** No such order of this customer, or not yet. */
  | { readonly is: 'unknown' }
  | { readonly is: 'answered'; readonly answer: Answer }
  /** The caller's to carry out. */
  | { readonly is: 'started'; readonly payment: Payment };

/** How an attempt ended. */
export interface Settled {
  readonly payment: Payment;
  readonly order: PayableStatus;
}

const TRIES = 3;
/** What is kept of a deadline to record what the gateway said. */
const RECORDING_MS = 250;

export class Charges {
  readonly #init: ChargesInit;

  constructor(init: ChargesInit) {
    this.#init = init;
  }

  /** Finds where the order stands; where it is free to be charged, begins an attempt. */
  start(wish: Wish, call: Call): Promise<Start> {
    return this.#init.db.transaction({ call }, async (tx) => {
      const answer = wish.request && (await this.#init.keys.claim(tx, wish.request));
      if (answer) return { is: 'answered', answer };
      if (wish.amount) await openPayable(tx, { ...wish, amount: wish.amount });
      const payable = await lockPayable(tx, wish.orderId);
      if (!payable || (wish.origin === 'customer' && payable.customerId !== wish.customerId)) return { is: 'unknown' };
      const standing = standingOf(payable.status, await decisive(tx, wish.orderId), wish.origin);
      if (standing.is === 'free') return { is: 'started', payment: await this.#begin(tx, payable, wish) };
      if (standing.is === 'own') await this.#renew(tx, standing.payment.id);
      return standing;
    });
  }

  /**
   * Asks the gateway to charge and records what it says.
   * @throws ContractError GATEWAY_UNAVAILABLE when it does not say; fulfilment's attempt then stays pending to be repeated
   */
  async carryOut(attempt: Payment, cardToken: string, call: Call): Promise<Settled> {
    const request = { key: attempt.id, amount: money(attempt), cardToken };
    const until = Math.min(call.deadline, Date.now() + this.#init.leaseMs) - RECORDING_MS;
    try {
      const booking = await this.#ask('charge', (signal) => this.#init.gateway.charge(request, signal), { until, tries: TRIES }, call);
      return await this.record(attempt, booking, call);
    } catch (error) {
      if (!(error instanceof GatewayFailure)) throw error;
      this.#init.log.warn({ err: error, paymentId: attempt.id }, 'the card processor did not answer a charge');
      return this.#giveUp(attempt, call);
    }
  }

  /**
   * Brings a pending attempt to its end without charging: what was booked counts, what was not never will be.
   * @throws ContractError GATEWAY_UNAVAILABLE
   */
  async resolve(attempt: Payment, call: Call): Promise<Settled> {
    try {
      const booking = await this.#ask('void', (signal) => this.#init.gateway.void(attempt.id, signal), { until: call.deadline - RECORDING_MS, tries: 2 }, call);
      return await this.record(attempt, booking, call);
    } catch (error) {
      if (!(error instanceof GatewayFailure)) throw error;
      await this.#endLease(attempt.id, call);
      throw unavailable(attempt.orderId, error);
    }
  }

  /** Records an end that the gateway knows of already; leaves the attempt alone where it knows of none. */
  async lookUp(attempt: Payment, call: Call): Promise<void> {
    const booking = await this.#ask('lookup', (signal) => this.#init.gateway.lookup(attempt.id, signal), { until: call.deadline - RECORDING_MS, tries: 1 }, call);
    if (booking) await this.record(attempt, booking, call);
  }

  /** Records what the gateway said, once: the second to come is told what the first has recorded. */
  record(attempt: Payment, booking: Booking, call: Call): Promise<Settled> {
    return this.#init.db.transaction({ call }, async (tx) => {
      this.#init.keys.hold(tx, keyOf(attempt));
      const payable = (await lockPayable(tx, attempt.orderId))!;
      const payment = await settle(tx, attempt.id, booking);
      if (!payment) return { payment: await find(tx, attempt.id), order: payable.status };
      if (booking.outcome === 'approved') await this.#taken(tx, payment, payable);
      else tx.publish(payments.events.paymentFailed, { ...factsOf(payment), message: payment.message });
      await this.#answer(tx, payment, payable.status);
      return { payment, order: payable.status };
    });
  }

  async #begin(tx: Transaction, payable: Payable, wish: Wish): Promise<Payment> {
    const [payment] = await tx.sql<Payment>(
      `insert into payment (id, order_id, customer_id, amount, currency, status, origin, idempotency_key, leased_until)
       values ($1, $2, $3, $4, $5, 'pending', $6, $7, now() + $8 * interval '1 millisecond') returning ${paymentColumns}`,
      [uuidv7(), payable.orderId, payable.customerId, payable.amount, payable.currency, wish.origin, wish.request?.key ?? null, this.#init.leaseMs],
    );
    if (wish.request) await this.#init.keys.begin(tx, wish.request);
    return payment!;
  }

  async #renew(tx: Transaction, paymentId: string): Promise<void> {
    await tx.sql(`update payment set leased_until = now() + $2 * interval '1 millisecond' where id = $1`, [paymentId, this.#init.leaseMs]);
  }

  async #endLease(paymentId: string, call: Call): Promise<void> {
    await this.#init.db.for(call).sql(`update payment set leased_until = now() where id = $1 and status = 'pending'`, [paymentId]);
  }

  /** A customer's charge is not left hanging where that can be helped: it is voided, so that the next one can begin at once. */
  async #giveUp(attempt: Payment, call: Call): Promise<Settled> {
    if (attempt.origin === 'customer') return this.resolve(attempt, call);
    await this.#endLease(attempt.id, call);
    throw unavailable(attempt.orderId);
  }

  #ask<T>(question: string, ask: (signal: AbortSignal) => Promise<T>, patience: { until: number; tries: number }, call: Call): Promise<T> {
    return this.#init.inSpan(call, gatewaySpan(question), () => askGateway(ask, { ...patience, timeoutMs: this.#init.timeoutMs }));
  }

  async #taken(tx: Transaction, payment: Payment, payable: Payable): Promise<void> {
    await book(tx, charged, { id: payment.id, orderId: payment.orderId, paymentId: payment.id, amount: money(payment) });
    tx.publish(payments.events.paymentCompleted, { ...factsOf(payment), transactionId: payment.transactionId! });
    if (payable.status === 'open') await markPaid(tx, payment.orderId);
    if (payable.status === 'closed' && payment.amount > 0) await setAside(tx, payment, { amount: payment.amount, reason: payable.closeReason ?? 'closed', leaseMs: 0 });
  }

  /** A failed attempt answers nothing: its key stays free for the request to be repeated. */
  async #answer(tx: Transaction, payment: Payment, order: PayableStatus): Promise<void> {
    const answer = answerTo(payment, order);
    if (answer) await this.#init.keys.finish(tx, keyOf(payment), answer);
  }
}

function keyOf({ customerId, idempotencyKey }: Payment): KeyRef {
  return { ownerId: customerId, key: idempotencyKey ?? undefined };
}

/** True when no attempt under the key is leased to anybody: its request died, or the processor gave it no answer. */
export async function noAttemptInHand(tx: Transaction, customerId: string, key: string): Promise<boolean> {
  const rows = await tx.sql(
    `select 1 from payment where status = 'pending' and leased_until > now() and customer_id = $1 and idempotency_key = $2`,
    [customerId, key],
  );
  return rows.length === 0;
}

export function unavailable(orderId: string, cause?: unknown): Error {
  const detail = `the card processor does not answer for order ${orderId}; repeat a little later with the same idempotency key`;
  const error = refuse(payments, 'GATEWAY_UNAVAILABLE', detail);
  if (cause !== undefined) error.cause = cause;
  return error;
}

/** The order's payments that `standingOf` looks at; declined and failed ones of customers may be many and decide nothing. */
function decisive(tx: Transaction, orderId: string): Promise<Attempt[]> {
  return tx.sql<Attempt>(
    `select ${paymentColumns}, coalesce(leased_until > now(), false) as leased from payment
     where order_id = $1 and (status not in ('declined', 'failed') or (status = 'declined' and origin = 'fulfilment'))`,
    [orderId],
  );
}

const statusAfter = { approved: 'completed', declined: 'declined', voided: 'failed' } as const;

async function settle(tx: Transaction, paymentId: string, booking: Booking): Promise<Payment | undefined> {
  const transactionId = booking.outcome === 'approved' ? booking.transactionId : null;
  const message = booking.outcome === 'voided' ? 'The card processor did not answer' : booking.message;
  const [payment] = await tx.sql<Payment>(
    `update payment set status = $2, transaction_id = $3, message = $4, leased_until = null, updated_at = now()
     where id = $1 and status = 'pending' returning ${paymentColumns}`,
    [paymentId, statusAfter[booking.outcome], transactionId, message],
  );
  return payment;
}

async function find(tx: Transaction, paymentId: string): Promise<Payment> {
  const [payment] = await tx.sql<Payment>(`select ${paymentColumns} from payment where id = $1`, [paymentId]);
  return payment!;
}

function factsOf(payment: Payment) {
  return { paymentId: payment.id, orderId: payment.orderId, customerId: payment.customerId, amount: money(payment) };
}
