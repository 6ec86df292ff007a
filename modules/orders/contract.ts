import { command, defineContract, event, Money, OneOf, query, strict, Timestamp, Uuid } from '#kernel';
import { Type } from '@sinclair/typebox';

export const OrderStatus = OneOf(['pending', 'awaiting_payment', 'paid', 'confirmed', 'shipped', 'delivered', 'rejected', 'cancelled']);
export const OrderItem = strict({ productId: Uuid, name: Type.String(), quantity: Type.Integer({ minimum: 1 }), unitPrice: Money });

const facts = { orderId: Uuid, customerId: Uuid, items: Type.Array(OrderItem), total: Money };
const Order = strict({ ...facts, status: OrderStatus, statusReason: Type.Union([Type.String(), Type.Null()], { examples: [null] }), createdAt: Timestamp });

/**
 * What modules that depend on orders may put on an order's record: orders cannot hear of it by their events without a cycle. A
 * closed list, for an entry that reads like one of fulfilment's would be taken for one.
 */
export const ReportedFact = OneOf(['ticket_opened', 'ticket_answered', 'ticket_closed', 'message_sent', 'message_failed']);

/** Customers read `detail`: one line, nothing that people wrote to each other. */
const Fact = strict({
  factId: Uuid,
  orderId: Uuid,
  at: Timestamp,
  event: ReportedFact,
  detail: Type.String({ maxLength: 300, pattern: '^[^\\u0000-\\u001f\\u007f]*$', description: 'a line of text' }),
});

export const orders = defineContract({
  name: 'orders',
  version: 1,
  summary: 'Orders from the basket to the door: places them and drives their fulfilment.',
  errors: {
    ORDER_NOT_FOUND: { status: 404, title: 'No such order', remedy: 'Check the id.' },
    PRODUCT_NOT_FOUND: { status: 422, title: 'A product cannot be ordered', remedy: 'Take the products that `productIds` names out of the basket.' },
    CURRENCIES_DIFFER: { status: 422, title: 'The products are priced in different currencies', remedy: 'Order them separately.' },
    ORDER_TOO_LARGE: { status: 422, title: 'The order is too large', remedy: 'Order fewer pieces.' },
    ORDER_NOT_CANCELLABLE: { status: 409, title: 'The order cannot be cancelled any more', remedy: 'Once it was dispatched, send it back instead.' },
  },
  operations: {
    getOrder: query({
      version: 1,
      summary: 'One order with its items.',
      input: strict({ orderId: Uuid }),
      output: Order,
      errors: ['ORDER_NOT_FOUND'],
    }),
    listOrders: query({
      version: 1,
      summary: 'All orders, oldest first, page by page; for read models that rebuild themselves.',
      input: strict({ limit: Type.Integer({ minimum: 1, maximum: 500 }), after: Type.Optional(Uuid) }),
      output: strict({ items: Type.Array(Order) }),
    }),
    recordFacts: command({
      version: 1,
      idempotent: true,
      summary: 'Puts facts from elsewhere on the records of their orders, each at its time. A second fact with the same `factId` changes nothing. Answers the facts whose order does not exist; all others are on record.',
      input: strict({ facts: Type.Array(Fact, { minItems: 1, maxItems: 500 }) }),
      output: strict({ withoutOrder: Type.Array(Uuid) }, { examples: [{ withoutOrder: [] }] }),
    }),
  },
  events: {
    orderPlaced: event({ version: 1, summary: 'A customer placed an order; nothing is reserved or charged yet.', aggregate: 'orderId', data: strict(facts) }),
    orderConfirmed: event({ version: 1, summary: 'Paid, stock committed, shipment made.', aggregate: 'orderId', data: strict(facts) }),
    orderShipped: event({ version: 1, summary: 'The parcel left.', aggregate: 'orderId', data: strict({ orderId: Uuid, customerId: Uuid, trackingNumber: Type.String() }) }),
    orderDelivered: event({ version: 1, summary: 'The parcel arrived.', aggregate: 'orderId', data: strict({ orderId: Uuid, customerId: Uuid }) }),
    orderCancelled: event({
      version: 1,
      summary: 'The order ended without a delivery; `reason` is its statusReason. A rejected order (OUT_OF_STOCK) is reported so too.',
      aggregate: 'orderId',
      data: strict({ ...facts, reason: Type.String() }),
    }),
  },
});
