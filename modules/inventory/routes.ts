/** The public face of inventory: availability for anyone, counting and correcting for administrators. */
import { Type } from '@sinclair/typebox';
import { actorOf, type RoutesPlugin, strict, Timestamp, Uuid } from '#kernel';
import { Availability, StockStatus } from './contract.ts';
import type { Inventory } from './inventory.ts';
import { MAX_ON_HAND } from './stock.ts';

const Pieces = Type.Integer({ minimum: 0 });
const stock = { productId: Uuid, onHand: Pieces, reserved: Pieces, available: Pieces, status: StockStatus };
const StockReply = strict(stock, { description: 'On hand includes what is reserved' });
const AdjustmentReply = strict({ id: Uuid, delta: Type.Integer(), reason: Type.String(), createdAt: Timestamp, ...stock });

const SetStock = strict({
  onHand: Type.Integer({ minimum: 0, maximum: MAX_ON_HAND, description: 'Pieces on the shelf, reserved ones included' }),
});
const Adjust = strict({
  delta: Type.Integer({
    minimum: -MAX_ON_HAND,
    maximum: MAX_ON_HAND,
    not: { const: 0 },
    description: 'Pieces that came (positive) or went (negative)',
  }),
  reason: Type.String({
    minLength: 1,
    maxLength: 200,
    pattern: '^(?=.*\\S)[^\\u0000-\\u001f\\u007f]*$',
    description: 'one line of printable characters that is not blank',
    examples: ['Delivery 4711', 'Broken in the warehouse'],
  }),
});
const params = strict({ productId: Uuid });
const tags = ['inventory'];

/** Kept with the adjustment that a count led to. */
const COUNTED = 'counted';

export function inventoryRoutes(service: Inventory): RoutesPlugin {
  return async (app) => {
    app.get(
      '/inventory/:productId',
      {
        config: { access: 'anyone', errors: ['PRODUCT_NOT_FOUND'] },
        schema: { tags, operationId: 'getInventory', summary: 'How much of a product can be had.', params, response: { 200: Availability } },
      },
      async (request) => service.availability(request.params.productId, request.call),
    );

    app.put(
      '/inventory/:productId',
      {
        config: { access: ['admin'], errors: ['PRODUCT_NOT_FOUND', 'STOCK_WOULD_GO_NEGATIVE'] },
        schema: { tags, operationId: 'setInventory', summary: 'Sets what is on hand.', params, body: SetStock, response: { 200: StockReply } },
      },
      async (request) => {
        const change = { productId: request.params.productId, actorId: actorOf(request).id, reason: COUNTED };
        return service.setOnHand(change, request.body.onHand, request.call);
      },
    );

    app.post(
      '/inventory/:productId/adjustments',
      {
        config: { access: ['admin'], errors: ['PRODUCT_NOT_FOUND', 'STOCK_WOULD_GO_NEGATIVE', 'STOCK_TOO_LARGE'] },
        schema: {
          tags,
          operationId: 'adjustInventory',
          summary: 'Adds to or takes from what is on hand.',
          params,
          body: Adjust,
          response: { 201: AdjustmentReply },
        },
      },
      async (request, reply) => {
        const { delta, reason } = request.body;
        const change = { productId: request.params.productId, actorId: actorOf(request).id, reason };
        const { stock: after, adjustment } = await service.adjust(change, delta, request.call);
        return reply.code(201).send({ id: adjustment.id, delta, reason, createdAt: adjustment.createdAt.toISOString(), ...after });
      },
    );
  };
}
