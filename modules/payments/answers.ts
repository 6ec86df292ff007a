/** What a request for money is answered with, in the form that its idempotency key replays. */
import { type Answer, type ContractError, refuse } from '#kernel';
import { payments } from './contract.ts';
import type { PayableStatus } from './payable.ts';
import { money, moneyWasTaken, type Payment } from './payment.ts';
import type { Refund } from './refund.ts';

type Code = keyof typeof payments.errors;

/** The body of an answer that refuses. */
interface Refusal {
  readonly code: Code;
  readonly detail: string;
  readonly data?: Record<string, unknown>;
}

/** An answer that came from this request or, replayed, from an earlier one with its key. */
export interface Reply {
  readonly answer: Answer;
  readonly replayed: boolean;
}

/** What the customer is told about an attempt that has ended; undefined where the processor's answer was never had. */
export function answerTo(payment: Payment, order: PayableStatus): Answer | undefined {
  if (order === 'closed') return refusal(orderClosed(payment.orderId));
  if (moneyWasTaken(payment.status)) return { status: 201, body: receiptOf(payment) };
  if (payment.status !== 'declined') return undefined;
  const detail = `${payment.message}; the order still waits for its payment, try another card`;
  return refusal(refuse(payments, 'PAYMENT_DECLINED', detail, { paymentId: payment.id }));
}

export function orderClosed(orderId: string): ContractError {
  return refuse(payments, 'ORDER_NOT_PAYABLE', `order ${orderId} takes no payment any more; what was taken for it is given back`);
}

function refusal({ code, status, message, data }: ContractError): Answer {
  return { status, body: { code, detail: message, ...(data && { data }) } };
}

/** The error that a kept refusal stands for; undefined where the answer is a success. */
export function refusalIn(answer: Answer): ContractError | undefined {
  if (answer.status < 400) return undefined;
  const { code, detail, data } = answer.body as Refusal;
  return refuse(payments, code, detail, data);
}

export interface Receipt {
  readonly id: string;
  readonly orderId: string;
  readonly amount: { amount: number; currency: string };
  readonly status: 'completed';
  readonly transactionId: string;
  readonly message: string;
}

function receiptOf(payment: Payment): Receipt {
  const { id, orderId, transactionId, message } = payment;
  return { id, orderId, amount: money(payment), status: 'completed', transactionId: transactionId!, message };
}

/** A refund as the API shows it. */
export function refundAnswer(refund: Refund): Answer {
  const { id, paymentId, reason, status, createdAt } = refund;
  return { status: 201, body: { id, paymentId, amount: money(refund), reason, status, createdAt: createdAt.toISOString() } };
}
