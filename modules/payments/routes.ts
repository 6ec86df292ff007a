/** The public face of payments: pay, look, refund. */
import { actorOf, idempotencyKeyHeader, Money, OneOf, Page, PageQuery, type RouteApp, type RoutesPlugin, strict, Timestamp, Uuid } from '#kernel';
import { type Static, Type } from '@sinclair/typebox';
import type { FastifyReply } from 'fastify';
import { refusalIn, type Reply } from './answers.ts';
import { CardToken } from './contract.ts';
import { money, type Payment } from './payment.ts';
import type { Payments } from './payments.ts';

const PaymentBody = strict({ orderId: Uuid, method: OneOf(['card']), cardToken: CardToken });

const ReceiptView = strict({ id: Uuid, orderId: Uuid, amount: Money, status: OneOf(['completed']), transactionId: Type.String(), message: Type.String() });

const PaymentView = strict({
  id: Uuid,
  orderId: Uuid,
  amount: Money,
  refunded: Money,
  status: OneOf(['pending', 'completed', 'declined', 'failed', 'partially_refunded', 'refunded']),
  transactionId: Type.Union([Type.String(), Type.Null()], { description: "The card processor's; null while nothing was taken" }),
  message: Type.String({ description: 'What the card processor said' }),
  createdAt: Timestamp,
});

const RefundBody = strict({
  amount: Type.Optional(
    strict(
      { amount: Type.Integer({ minimum: 1, maximum: 1_000_000_000_000 }), currency: Money.properties.currency },
      { description: 'Default: all that is left' },
    ),
  ),
  reason: Type.String({ minLength: 1, maxLength: 200, pattern: '^(?=.*\\S)[^\\u0000-\\u001f\\u007f]*$', description: 'one line of printable characters that is not blank' }),
});

const RefundView = strict({ id: Uuid, paymentId: Uuid, amount: Money, reason: Type.String(), status: OneOf(['pending', 'completed']), createdAt: Timestamp });

const ById = strict({ id: Uuid });
const tags = ['payments'];
const anySignedIn = ['customer', 'support', 'admin'] as const;

export function routes(service: Payments): RoutesPlugin {
  return async (app) => {
    payRoute(app, service);
    lookRoutes(app, service);
    refundRoute(app, service);
  };
}

function payRoute(app: RouteApp, service: Payments): void {
  app.post(
    '/payments',
    {
      config: {
        access: anySignedIn,
        errors: ['ORDER_NOT_FOUND', 'ORDER_NOT_PAYABLE', 'ORDER_ALREADY_PAID', 'PAYMENT_DECLINED', 'GATEWAY_UNAVAILABLE'],
      },
      schema: {
        operationId: 'createPayment',
        summary: 'Pays an order.',
        description: 'A decline answers 402 with the id of the payment as `paymentId`; the order can then be paid with another card.',
        tags,
        headers: idempotencyKeyHeader,
        body: PaymentBody,
        response: { 201: ReceiptView },
      },
    },
    async (request, reply) => {
      const { orderId, cardToken } = request.body;
      const customerId = actorOf(request).id;
      const keyed = { ownerId: customerId, key: request.headers['idempotency-key'], route: 'POST /payments', body: request.body };
      return give<Static<typeof ReceiptView>>(reply, await service.pay({ orderId, cardToken, customerId, request: keyed }, request.call));
    },
  );
}

function lookRoutes(app: RouteApp, service: Payments): void {
  app.get(
    '/payments/:id',
    {
      config: { access: anySignedIn, errors: ['PAYMENT_NOT_FOUND'] },
      schema: { operationId: 'getPayment', summary: 'One payment.', tags, params: ById, response: { 200: PaymentView } },
    },
    async (request) => shown(await service.find(request.params.id, actorOf(request), request.call)),
  );

  app.get(
    '/payments',
    {
      config: { access: anySignedIn },
      schema: {
        operationId: 'listPayments',
        summary: 'The payments of an order, declined ones too, newest first.',
        tags,
        querystring: strict({ orderId: Uuid, ...PageQuery }),
        response: { 200: Page(PaymentView) },
      },
    },
    async (request) => {
      const { orderId, limit = 20, cursor } = request.query;
      const page = await service.list({ orderId, limit, cursor }, actorOf(request), request.call);
      return { items: page.items.map(shown), nextCursor: page.nextCursor };
    },
  );
}

function refundRoute(app: RouteApp, service: Payments): void {
  app.post(
    '/payments/:id/refund',
    {
      config: { access: ['admin'], errors: ['PAYMENT_NOT_FOUND', 'PAYMENT_NOT_REFUNDABLE', 'REFUND_EXCEEDS_PAYMENT', 'GATEWAY_UNAVAILABLE'] },
      schema: {
        operationId: 'refundPayment',
        summary: 'Gives money of a payment back, in part or in full.',
        tags,
        headers: idempotencyKeyHeader,
        params: ById,
        body: RefundBody,
        response: { 201: RefundView },
      },
    },
    async (request, reply) => {
      const id = request.params.id.toLowerCase();
      const keyed = { ownerId: actorOf(request).id, key: request.headers['idempotency-key'], route: `POST /payments/${id}/refund`, body: request.body };
      const { amount, reason } = request.body;
      return give<Static<typeof RefundView>>(reply, await service.refund({ paymentId: id, amount, reason, request: keyed }, request.call));
    },
  );
}

/** Sends an answer, or the refusal that it is, first-hand or replayed alike. */
function give<Body>(reply: Pick<FastifyReply, 'header' | 'code'>, { answer, replayed }: Reply): Body {
  if (replayed) reply.header('idempotency-replayed', 'true');
  const refusal = refusalIn(answer);
  if (refusal) throw refusal;
  reply.code(answer.status);
  return answer.body as Body;
}

function shown(payment: Payment) {
  const { id, orderId, status, transactionId, message, createdAt } = payment;
  return {
    id,
    orderId,
    amount: money(payment),
    refunded: { amount: payment.refunded, currency: payment.currency },
    status,
    transactionId: transactionId ?? null,
    message,
    createdAt: createdAt.toISOString(),
  };
}
