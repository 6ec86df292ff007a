/** The public face of orders. */
import { actorOf, decodeCursor, encodeCursor, idempotencyKeyHeader, Money, OneOf, Page, PageQuery, type RoutesPlugin, strict, Timestamp, Uuid } from '#kernel';
import { Type } from '@sinclair/typebox';
import { CardToken } from '../payments/contract.ts';
import { Address } from '../shipping/contract.ts';
import { OrderItem, OrderStatus } from './contract.ts';
import { MAX_QUANTITY } from './order.ts';
import type { Orders } from './orders.ts';

const Order = strict({
  id: Uuid,
  customerId: Uuid,
  items: Type.Array(OrderItem),
  total: Money,
  status: OrderStatus,
  statusReason: Type.Union([Type.String(), Type.Null()], { description: 'Why the order ended early, e.g. PAYMENT_DECLINED' }),
  shippingAddress: Address,
  createdAt: Timestamp,
  updatedAt: Timestamp,
});

const OrderRequest = strict({
  items: Type.Array(strict({ productId: Uuid, quantity: Type.Integer({ minimum: 1, maximum: MAX_QUANTITY }) }), { minItems: 1, maxItems: 50 }),
  shippingAddress: Address,
  payment: Type.Optional(strict({ method: OneOf(['card']), cardToken: CardToken })),
});

const OrderId = strict({ id: Uuid });
const HistoryEntry = strict({ at: Timestamp, event: Type.String(), detail: Type.String() });

export function orderRoutes(service: Orders): RoutesPlugin {
  return async (app) => {
    app.route({
      method: 'POST',
      url: '/orders',
      config: { access: ['customer'], errors: ['PRODUCT_NOT_FOUND', 'CURRENCIES_DIFFER', 'ORDER_TOO_LARGE'] },
      schema: {
        summary: 'Place an order',
        description: 'With `payment` the order is charged as part of its fulfilment; without, it waits in `awaiting_payment` for POST /payments.',
        headers: idempotencyKeyHeader,
        body: OrderRequest,
        response: { 201: Order },
      },
      async handler(request, reply) {
        const { order, replayed } = await service.place(actorOf(request).id, request.body, request.headers['idempotency-key'], request.call);
        if (replayed) reply.header('idempotency-replayed', 'true');
        return reply.code(201).send(order);
      },
    });

    app.route({
      method: 'GET',
      url: '/orders',
      config: { access: ['customer', 'support', 'admin'] },
      schema: { summary: 'List orders, newest first', description: 'Customers see their own.', querystring: strict(PageQuery), response: { 200: Page(Order) } },
      async handler(request) {
        const limit = request.query.limit ?? 20;
        const cursor = decodeCursor(request.query.cursor, ['uuid']);
        const items = await service.list(actorOf(request), { limit: limit + 1, before: cursor ? String(cursor[0]) : null }, request.call);
        const page = items.slice(0, limit);
        return { items: page, nextCursor: items.length > limit ? encodeCursor([page.at(-1)!.id]) : null };
      },
    });

    app.route({
      method: 'GET',
      url: '/orders/:id',
      config: { access: ['customer', 'support', 'admin'], errors: ['ORDER_NOT_FOUND'] },
      schema: { summary: 'One order', params: OrderId, response: { 200: Order } },
      handler: async (request) => service.find(request.params.id, actorOf(request), request.call),
    });

    app.route({
      method: 'GET',
      url: '/orders/:id/history',
      config: { access: ['customer', 'support', 'admin'], errors: ['ORDER_NOT_FOUND'] },
      schema: { summary: 'What happened to an order, step by step', description: 'In all modules that have a part in it: orders, payments, inventory and shipping, the tickets about it, and what the customer was told by e-mail and text; but nothing of what was written. What is reported from elsewhere appears a moment later, at the time at which it happened.', params: OrderId, response: { 200: Type.Array(HistoryEntry) } },
      handler: async (request) => service.history(request.params.id, actorOf(request), request.call),
    });

    app.route({
      method: 'POST',
      url: '/orders/:id/cancel',
      config: { access: ['customer', 'admin'], errors: ['ORDER_NOT_FOUND', 'ORDER_NOT_CANCELLABLE'] },
      schema: { summary: 'Cancel an order', description: 'Possible until its shipment is dispatched. Reserved stock is freed and money given back.', params: OrderId, response: { 200: Order } },
      handler: async (request) => service.cancel(request.params.id, actorOf(request), request.call),
    });
  };
}
