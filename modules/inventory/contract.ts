import { command, defineContract, event, OneOf, query, strict, Timestamp, Uuid } from '#kernel';
import { Type } from '@sinclair/typebox';

export const StockStatus = OneOf(['in_stock', 'low', 'out_of_stock']);
export const Quantity = Type.Integer({ minimum: 1, maximum: 50_000 });
export const StockLine = strict({ productId: Uuid, quantity: Quantity });
export const Availability = strict({ productId: Uuid, available: Type.Integer({ minimum: 0, examples: [25] }), status: StockStatus });

export const inventory = defineContract({
  name: 'inventory',
  version: 1,
  summary: 'What is on hand and what is spoken for; never sells a piece twice.',
  errors: {
    PRODUCT_NOT_FOUND: { status: 404, title: 'No such product', remedy: 'Check the id.' },
    STOCK_WOULD_GO_NEGATIVE: { status: 409, title: 'There would be less than nothing', remedy: 'Adjust by no more than what is available.' },
    STOCK_TOO_LARGE: { status: 409, title: 'There would be more than can be kept', remedy: 'Keep at most 1,000,000,000 pieces of a product on hand.' },
    RESERVATION_NOT_HELD: { status: 409, title: 'The reservation is not held any more', remedy: 'Reserve again under a new order.' },
  },
  operations: {
    getAvailability: query({ version: 1, summary: 'What is available of one product.', input: strict({ productId: Uuid }), output: Availability, errors: ['PRODUCT_NOT_FOUND'] }),
    reserve: command({
      version: 1,
      summary: 'Sets stock aside for an order, all lines or none, until `expiresAt`. A second call for the order answers as the first did; after `release` it answers `released`.',
      idempotent: true,
      input: strict({ orderId: Uuid, items: Type.Array(StockLine, { minItems: 1, maxItems: 50 }), expiresAt: Timestamp }),
      output: strict({ outcome: OneOf(['reserved', 'out_of_stock', 'released']), missing: Type.Array(Uuid) }, { examples: [{ outcome: 'reserved', missing: [] }] }),
    }),
    commit: command({
      version: 1,
      summary: 'Takes reserved stock off the shelf for good.',
      idempotent: true,
      input: strict({ orderId: Uuid }),
      output: strict({}),
      errors: ['RESERVATION_NOT_HELD'],
    }),
    release: command({
      version: 1,
      summary: 'Makes an order\'s stock available again, whether reserved or committed; where nothing was reserved yet, a later `reserve` of the order is refused.',
      idempotent: true,
      input: strict({ orderId: Uuid }),
      output: strict({}),
    }),
  },
  events: {
    stockChanged: event({
      version: 1,
      summary: 'Stock on hand was set or adjusted by hand (not by orders).',
      aggregate: 'productId',
      data: strict({ productId: Uuid, onHand: Type.Integer(), reserved: Type.Integer(), available: Type.Integer() }),
    }),
    reservationExpired: event({ version: 1, summary: 'Reserved stock became available again because its time was up.', aggregate: 'orderId', data: strict({ orderId: Uuid }) }),
  },
});
