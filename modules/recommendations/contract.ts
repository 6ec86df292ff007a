import { command, defineContract, Money, OneOf, query, strict, Timestamp, Uuid } from '#kernel';
import { Type } from '@sinclair/typebox';

export const Recommendation = strict({
  productId: Uuid,
  name: Type.String(),
  price: Money,
  boughtTogether: Type.Integer({ minimum: 1, description: 'Orders that contain both and were not cancelled' }),
});

export const Counting = strict({
  id: Uuid,
  status: OneOf(['running', 'finished'], { description: 'While it runs, the counts of before are answered', examples: ['finished'] }),
  ordersRead: Type.Integer({ minimum: 0, description: 'Orders of the history that have been read so far' }),
  requestedAt: Timestamp,
  finishedAt: Type.Union([Timestamp, Type.Null()]),
});

export const recommendations = defineContract({
  name: 'recommendations',
  version: 1,
  summary: 'What is bought together, counted from orders.',
  errors: {
    PRODUCT_NOT_FOUND: { status: 404, title: 'No such product', remedy: 'Check the id; deleted products are gone.' },
  },
  operations: {
    getRecommendations: query({
      version: 1,
      summary: 'Products that can be ordered and were bought together with this one, best first.',
      input: strict({ productId: Uuid, limit: Type.Integer({ minimum: 1, maximum: 100 }) }),
      output: strict({ items: Type.Array(Recommendation) }),
      errors: ['PRODUCT_NOT_FOUND'],
    }),
    rebuild: command({
      version: 1,
      summary: 'Counts anew from the history of orders, in the background. While it is under way, asking again answers the same one.',
      idempotent: true,
      input: strict({}),
      output: Counting,
    }),
    getRebuild: query({ version: 1, summary: 'How far the counting is that was asked for last.', input: strict({}), output: Counting }),
  },
  events: {},
});
