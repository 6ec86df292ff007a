/** What customers are told: one pure function per fact. */
import type { DeepReadonly, EventData } from '#kernel';
import type { orders } from '../orders/contract.ts';
import type { payments } from '../payments/contract.ts';
import type { support } from '../support/contract.ts';
import { amountText, oneLine, shortNumber } from './wording.ts';

type OrderFact<K extends keyof typeof orders.events> = DeepReadonly<EventData<(typeof orders.events)[K]>>;
type PaymentFact<K extends keyof typeof payments.events> = DeepReadonly<EventData<(typeof payments.events)[K]>>;
type TicketFact<K extends keyof typeof support.events> = DeepReadonly<EventData<(typeof support.events)[K]>>;

/** A fact in words: as an e-mail and, shorter, as a text message. */
export interface Wording {
  readonly subject: string;
  readonly body: string;
  readonly text: string;
}

export function yourOrderWasReceived(order: OrderFact<'orderPlaced'>): Wording {
  const number = shortNumber(order.orderId);
  const total = amountText(order.total);
  return {
    subject: `We received your order ${number}`,
    body: letter(
      order.orderId,
      'Thank you for your order:',
      ...order.items.map(itemLine),
      `Total: ${total}`,
      'We will write again when something happens to it.',
    ),
    text: `We received your order ${number} over ${total}. Thank you!`,
  };
}

export function yourPaymentWentThrough(payment: PaymentFact<'paymentCompleted'>): Wording {
  const number = shortNumber(payment.orderId);
  const amount = amountText(payment.amount);
  return {
    subject: `We received your payment for order ${number}`,
    body: letter(payment.orderId, `Your payment of ${amount} went through.`, `Transaction: ${oneLine(payment.transactionId)}`),
    text: `Your payment of ${amount} for order ${number} went through.`,
  };
}

export function yourPaymentFailed(payment: PaymentFact<'paymentFailed'>): Wording {
  const number = shortNumber(payment.orderId);
  const amount = amountText(payment.amount);
  return {
    subject: `Your payment for order ${number} failed`,
    body: letter(
      payment.orderId,
      `Your payment of ${amount} failed: ${oneLine(payment.message)}`,
      'Nothing was charged. While the order waits for its payment you can pay with another card.',
    ),
    text: `Your payment of ${amount} for order ${number} failed. Nothing was charged.`,
  };
}

export function yourOrderIsOnItsWay(order: OrderFact<'orderShipped'>): Wording {
  const number = shortNumber(order.orderId);
  const tracking = oneLine(order.trackingNumber, 60);
  return {
    subject: `Your order ${number} is on its way`,
    body: letter(order.orderId, 'Your parcel has left us.', `Tracking number: ${tracking}`),
    text: `Your order ${number} is on its way. Tracking number: ${tracking}`,
  };
}

export function yourOrderWasCancelled(order: OrderFact<'orderCancelled'>): Wording {
  const number = shortNumber(order.orderId);
  const reason = cancellationReason(order.reason);
  return {
    subject: `Your order ${number} was cancelled`,
    body: letter(
      order.orderId,
      `Your order over ${amountText(order.total)} was cancelled: ${reason}.`,
      'Whatever was charged for it is given back to your card.',
    ),
    text: `Your order ${number} was cancelled: ${reason}.`,
  };
}

/** What was written stays in the conversation, where only those who may read it do. */
export function yourTicketWasAnswered({ ticketId }: TicketFact<'ticketAnswered'>): Wording {
  const number = shortNumber(ticketId);
  return {
    subject: `We answered your ticket ${number}`,
    body: about('Ticket', ticketId, 'We have answered you. Read it with your tickets, and write back there.'),
    text: `We answered your ticket ${number}.`,
  };
}

const reasons: Readonly<Record<string, string>> = {
  OUT_OF_STOCK: 'not everything in it is in stock',
  PAYMENT_DECLINED: 'the payment was declined',
  PAYMENT_TIMEOUT: 'it was not paid in time',
  RESERVATION_EXPIRED: 'what was set aside for it had to be given free',
  CUSTOMER_REQUEST: 'as you asked us to',
  SHIPPING_FAILED: 'it could not be shipped',
};

/** Reasons may be added by the orders module at any time; an unknown one still makes a whole sentence. */
function cancellationReason(reason: string): string {
  return Object.hasOwn(reasons, reason) ? reasons[reason]! : 'it could not be completed';
}

function itemLine(item: OrderFact<'orderPlaced'>['items'][number]): string {
  return `  ${item.quantity} x ${oneLine(item.name)}, ${amountText(item.unitPrice)} each`;
}

function letter(orderId: string, ...lines: string[]): string {
  return about('Order', orderId, ...lines);
}

function about(what: string, id: string, ...lines: string[]): string {
  return ['Hello,', '', ...lines, '', `${what}: ${id}`, ''].join('\n');
}
