import { command, defineContract, event, Money, OneOf, query, strict, Uuid } from '#kernel';
import { Type } from '@sinclair/typebox';

/** What looks like a card number behind the prefix is none the less one: no twelve digits in a row. */
export const CardToken = Type.String({
  pattern: '^tok_(?!.*(?:[0-9]_*){12})[a-z0-9_]{1,60}$',
  description: 'A token of the card processor; never a card number',
  examples: ['tok_visa'],
});

export const payments = defineContract({
  name: 'payments',
  version: 1,
  summary: 'Takes money for orders, at most once, gives it back, and keeps the books.',
  errors: {
    PAYMENT_DECLINED: { status: 402, title: 'The card was declined', remedy: 'Pay with another card.' },
    ORDER_NOT_PAYABLE: { status: 409, title: 'The order does not wait for a payment', remedy: 'Look at the order\'s status.' },
    ORDER_ALREADY_PAID: { status: 409, title: 'The order is paid', remedy: 'None is needed.' },
    ORDER_NOT_FOUND: { status: 404, title: 'No such order', remedy: 'Check the id.' },
    PAYMENT_NOT_FOUND: { status: 404, title: 'No such payment', remedy: 'Check the id.' },
    PAYMENT_NOT_REFUNDABLE: { status: 409, title: 'Nothing was taken that could be given back', remedy: 'Look at the payment\'s status.' },
    REFUND_EXCEEDS_PAYMENT: { status: 409, title: 'More would be given back than was taken', remedy: 'Refund no more than what is left.' },
    GATEWAY_UNAVAILABLE: { status: 503, title: 'The card processor does not answer', remedy: 'Repeat with the same idempotency key.' },
  },
  operations: {
    open: command({
      version: 1,
      summary: 'Makes an order payable by its customer through POST /payments.',
      idempotent: true,
      input: strict({ orderId: Uuid, customerId: Uuid, amount: Money }),
      output: strict({ status: OneOf(['open', 'paid', 'closed']) }),
    }),
    charge: command({
      version: 1,
      summary: 'Charges an order with a card token, at most once per order. Answers `closed` after `close`. Fails with GATEWAY_UNAVAILABLE while the processor cannot be asked: repeat.',
      idempotent: true,
      deadlineMs: 10_000,
      input: strict({ orderId: Uuid, customerId: Uuid, amount: Money, cardToken: CardToken }),
      output: strict({ outcome: OneOf(['completed', 'declined', 'closed']), paymentId: Type.Union([Uuid, Type.Null()]), message: Type.String() }),
      errors: ['GATEWAY_UNAVAILABLE'],
    }),
    close: command({
      version: 1,
      summary: 'Ends an order\'s payments: nothing is charged from now on, and all that was taken is given back. With `customerId` that customer learns of it even where the order was never opened.',
      idempotent: true,
      deadlineMs: 10_000,
      input: strict({ orderId: Uuid, reason: Type.String({ maxLength: 200 }), customerId: Type.Optional(Uuid) }),
      output: strict({ refunded: Type.Union([Money, Type.Null()], { examples: [null] }) }),
      errors: ['GATEWAY_UNAVAILABLE'],
    }),
    getOrderPayments: query({
      version: 1,
      summary: 'What was taken and given back for an order.',
      input: strict({ orderId: Uuid }),
      output: strict({
        payments: Type.Array(strict({ id: Uuid, status: OneOf(['pending', 'completed', 'declined', 'failed', 'refunded', 'partially_refunded']), amount: Money, refunded: Money }, { examples: [{ status: 'completed', refunded: { amount: 0, currency: 'USD' } }] })),
      }),
    }),
  },
  events: {
    paymentCompleted: event({
      version: 1,
      summary: 'An order\'s money was taken.',
      aggregate: 'orderId',
      data: strict({ paymentId: Uuid, orderId: Uuid, customerId: Uuid, amount: Money, transactionId: Type.String() }),
    }),
    paymentFailed: event({
      version: 1,
      summary: 'A charge was declined or given up.',
      aggregate: 'orderId',
      data: strict({ paymentId: Uuid, orderId: Uuid, customerId: Uuid, amount: Money, message: Type.String() }),
    }),
    paymentRefunded: event({
      version: 1,
      summary: 'Money was given back, in part or in full.',
      aggregate: 'orderId',
      data: strict({ refundId: Uuid, paymentId: Uuid, orderId: Uuid, customerId: Uuid, amount: Money, reason: Type.String() }),
    }),
  },
});
