/** Takes money for orders and gives it back: the module's one service, behind its operations and its routes. */
import {
  type Actor,
  afterFirstCommit,
  type Call,
  type Database,
  type DeepReadonly,
  decodeCursor,
  encodeCursor,
  createIdempotency,
  type Input,
  type InSpan,
  type Operations,
  type Output,
  refuse,
  type Task,
} from '#kernel';
import type { Logger } from 'pino';
import { refundAnswer, type Reply } from './answers.ts';
import { Charges, noAttemptInHand } from './charges.ts';
import { closeOrder, type ClosingInit } from './closing.ts';
import { payments } from './contract.ts';
import type { Gateway } from './gateway.ts';
import { openPayable } from './payable.ts';
import { type CustomerPayment, Paying } from './paying.ts';
import { money, type Payment, PaymentEntity } from './payment.ts';
import { recoveryTasks } from './recovery.ts';
import { noRefundInHand, Refunds, type RefundWish } from './refunds.ts';

export interface PaymentsInit {
  readonly db: Database;
  readonly gateway: Gateway;
  readonly log: Logger;
  readonly inSpan: InSpan;
  /** Milliseconds per question to the gateway. */
  readonly timeoutMs: number;
  /** Milliseconds that a request has for its work with the gateway before it is taken for dead. */
  readonly leaseMs: number;
  /** Milliseconds that a customer waits for an order to become payable. */
  readonly waitMs: number;
}

export interface PaymentPage {
  readonly items: readonly Payment[];
  readonly nextCursor: string | null;
}

type OrderPayments = Output<typeof payments.operations.getOrderPayments>;

export class Payments {
  readonly #db: Database;
  readonly #paying: Paying;
  readonly #refunds: Refunds;
  readonly #closing: ClosingInit;
  /** Work that comes again: what crashes and a silent gateway left behind. */
  readonly tasks: readonly Task[];

  constructor(init: PaymentsInit) {
    const charges = new Charges({ ...init, keys: createIdempotency({ isAbandoned: async (tx, { ownerId, key }) => noAttemptInHand(tx, ownerId, key!) }) });
    const refundKeys = createIdempotency({ isAbandoned: async (tx, { ownerId, key }) => noRefundInHand(tx, ownerId, key!) });
    this.#db = init.db;
    this.#paying = new Paying({ ...init, charges });
    this.#refunds = new Refunds({ ...init, keys: refundKeys });
    this.#closing = { ...init, charges, refunds: this.#refunds };
    this.tasks = recoveryTasks({ ...init, charges, refunds: this.#refunds, keys: refundKeys });
  }

  get operations(): Operations<typeof payments> {
    return {
      open: async (input, call) => ({ status: await openPayable(this.#db.for(call), input) }),
      charge: (input, call) => this.#paying.charge(input, call),
      close: (input, call) => closeOrder(this.#closing, input, call),
      getOrderPayments: (input, call) => this.#ofOrder(input, call),
    };
  }

  /** POST /payments, see `Paying.pay`. */
  pay(payment: CustomerPayment, call: Call): Promise<Reply> {
    return this.#paying.pay(payment, call);
  }

  /**
   * Gives money of one payment back.
   * @throws ContractError PAYMENT_NOT_FOUND, PAYMENT_NOT_REFUNDABLE, REFUND_EXCEEDS_PAYMENT, GATEWAY_UNAVAILABLE
   */
  async refund(wish: RefundWish, call: Call): Promise<Reply> {
    const start = await this.#refunds.start(wish, call);
    if ('answer' in start) return { answer: start.answer, replayed: true };
    return { answer: refundAnswer(await afterFirstCommit(this.#refunds.carryOut(start.refund, call))), replayed: false };
  }

  /** @throws ContractError PAYMENT_NOT_FOUND, also for somebody else's */
  async find(id: string, reader: Actor, call: Call): Promise<Payment> {
    const payment = await this.#db.for(call).em().findOne(PaymentEntity, { id, ...own(reader) });
    if (!payment) throw refuse(payments, 'PAYMENT_NOT_FOUND', `there is no payment ${id}; check the id`);
    return payment;
  }

  /** An order's payments, newest first; somebody else's order has none. */
  async list(query: { orderId: string; limit: number; cursor?: string | undefined }, reader: Actor, call: Call): Promise<PaymentPage> {
    const after = decodeCursor(query.cursor, ['uuid'])?.[0] as string | undefined;
    const where = { orderId: query.orderId, ...own(reader), ...(after && { id: { $lt: after } }) };
    const rows = await this.#db.for(call).em().find(PaymentEntity, where, { orderBy: { id: 'desc' }, limit: query.limit + 1 });
    const items = rows.slice(0, query.limit);
    return { items, nextCursor: rows.length > query.limit ? encodeCursor([items.at(-1)!.id]) : null };
  }

  async #ofOrder({ orderId }: DeepReadonly<Input<typeof payments.operations.getOrderPayments>>, call: Call): Promise<OrderPayments> {
    const rows = await this.#db.for(call).em().find(PaymentEntity, { orderId }, { orderBy: { id: 'asc' } });
    const items = rows.map((row) => ({ id: row.id, status: row.status, amount: money(row), refunded: { amount: row.refunded, currency: row.currency } }));
    return { payments: items };
  }
}

/** Customers see their own, support and administrators all. */
function own(reader: Actor): { customerId?: string } {
  return reader.role === 'customer' ? { customerId: reader.id } : {};
}
