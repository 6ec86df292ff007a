/** The two ways to pay an order, the customer's and fulfilment's, over one and the same charging. */
import { afterFirstCommit, type Call, CallError, type Database, type DeepReadonly, type Input, type KeyedRequest, type Output, refuse, type Sql } from '#kernel';
import { answerTo, orderClosed, type Reply } from './answers.ts';
import { type Charges, type Settled, type Start, unavailable, type Wish } from './charges.ts';
import { payments } from './contract.ts';
import { isPayableOf } from './payable.ts';
import { moneyWasTaken, type Payment } from './payment.ts';
import { waitFor } from './wait-for.ts';

type ChargeInput = DeepReadonly<Input<typeof payments.operations.charge>>;
type ChargeOutput = Output<typeof payments.operations.charge>;

/** A customer's POST /payments. */
export interface CustomerPayment {
  readonly orderId: string;
  readonly cardToken: string;
  readonly customerId: string;
  readonly request: KeyedRequest;
}

export interface PayingInit {
  readonly db: Database;
  readonly charges: Charges;
  /** Milliseconds that a customer waits for an order to become payable, or for another payment of it to end. */
  readonly waitMs: number;
}

type Outcome = Exclude<Start, { is: 'started' } | { is: 'own' } | { is: 'abandoned' }> | ({ readonly is: 'settled' } & Settled);

/** What is kept of a caller's time to answer in. */
const ANSWERING_MS = 500;

export class Paying {
  readonly #init: PayingInit;

  constructor(init: PayingInit) {
    this.#init = init;
  }

  /**
   * Charges an order on behalf of its customer.
   * @throws ContractError ORDER_NOT_FOUND, ORDER_NOT_PAYABLE, ORDER_ALREADY_PAID, GATEWAY_UNAVAILABLE; a decline is an answer
   * @throws CallError IDEMPOTENCY_IN_PROGRESS while another payment of the order is under way
   */
  async pay(payment: CustomerPayment, call: Call): Promise<Reply> {
    const { orderId, customerId, request } = payment;
    const until = Math.min(Date.now() + this.#init.waitMs, call.deadline - ANSWERING_MS);
    const outcome = await this.#drive({ orderId, customerId, origin: 'customer', request }, payment.cardToken, until, call);
    if (outcome.is === 'answered') return { answer: outcome.answer, replayed: true };
    if (outcome.is !== 'settled') throw whyNot(outcome.is, orderId);
    const answer = answerTo(outcome.payment, outcome.order);
    if (!answer) throw unavailable(orderId);
    return { answer, replayed: false };
  }

  /**
   * Charges an order on behalf of its fulfilment; repeating it goes on with the same charge.
   * @throws ContractError GATEWAY_UNAVAILABLE
   */
  async charge(input: ChargeInput, call: Call): Promise<ChargeOutput> {
    const { orderId, customerId, amount } = input;
    const until = call.deadline - ANSWERING_MS;
    const outcome = await this.#drive({ orderId, customerId, origin: 'fulfilment', amount }, input.cardToken, until, call);
    if (outcome.is === 'closed') return closedOutput(orderId, null);
    if (outcome.is === 'settled' && outcome.order === 'closed') return closedOutput(orderId, outcome.payment.id);
    if (outcome.is !== 'settled' && outcome.is !== 'paid' && outcome.is !== 'declined') throw unavailable(orderId);
    return chargeOutput(outcome.payment);
  }

  /** Goes on until the order was charged or cannot be: waits for others to end, and clears away what the dead left behind. */
  async #drive(wish: Wish, cardToken: string, until: number, call: Call): Promise<Outcome> {
    const { charges, db } = this.#init;
    for (;;) {
      const start = await charges.start(wish, call);
      if (start.is === 'started' || start.is === 'own') return { is: 'settled', ...(await afterFirstCommit(charges.carryOut(start.payment, cardToken, call))) };
      if (start.is === 'abandoned') await charges.resolve(start.payment, call);
      else if (start.is === 'unknown' && (await waitFor(() => isPayableOf(db.for(call), wish.orderId, wish.customerId), until, call))) continue;
      else if (start.is === 'in_hand' && (await waitFor(() => hasLeftHand(db.for(call), start.payment.id), until, call))) continue;
      else return start;
    }
  }
}

async function hasLeftHand(db: Sql, paymentId: string): Promise<boolean> {
  return (await db.sql(`select 1 from payment where id = $1 and status = 'pending' and leased_until > now()`, [paymentId])).length === 0;
}

function whyNot(is: 'closed' | 'paid' | 'in_hand' | 'unknown' | 'declined', orderId: string): Error {
  if (is === 'closed') return orderClosed(orderId);
  if (is === 'paid') return refuse(payments, 'ORDER_ALREADY_PAID', `order ${orderId} is paid; nothing more is taken for it`);
  if (is === 'in_hand') {
    return new CallError('IDEMPOTENCY_IN_PROGRESS', `another payment of order ${orderId} is under way; look at GET /payments?orderId= a little later`);
  }
  return refuse(payments, 'ORDER_NOT_FOUND', `there is no order ${orderId} to be paid; check the id`);
}

function closedOutput(orderId: string, paymentId: string | null): ChargeOutput {
  return { outcome: 'closed', paymentId, message: orderClosed(orderId).message };
}

function chargeOutput(payment: Payment): ChargeOutput {
  if (payment.status === 'declined') return { outcome: 'declined', paymentId: payment.id, message: payment.message };
  if (moneyWasTaken(payment.status)) return { outcome: 'completed', paymentId: payment.id, message: payment.message };
  throw unavailable(payment.orderId);
}
