/** The public face of recommendations: what goes with a product, for anyone; counting anew, for administrators. */
import { Type } from '@sinclair/typebox';
import { type Operations, type RoutesPlugin, strict, Uuid } from '#kernel';
import { Counting, Recommendation, type recommendations } from './contract.ts';

const tags = ['recommendations'];
const DEFAULT_LIMIT = 20;

export function recommendationRoutes(operations: Operations<typeof recommendations>): RoutesPlugin {
  return async (app) => {
    app.get(
      '/recommendations/:productId',
      {
        config: { access: 'anyone', errors: ['PRODUCT_NOT_FOUND'] },
        schema: {
          tags,
          operationId: 'getRecommendations',
          summary: 'Products bought together with it, best first; those that cannot be ordered any more are left out.',
          params: strict({ productId: Uuid }),
          querystring: strict({ limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: DEFAULT_LIMIT })) }),
          response: { 200: strict({ items: Type.Array(Recommendation) }) },
        },
      },
      async (request) => operations.getRecommendations({ productId: request.params.productId, limit: request.query.limit ?? DEFAULT_LIMIT }, request.call),
    );

    app.post(
      '/admin/recommendations/rebuild',
      {
        config: { access: ['admin'] },
        schema: {
          tags,
          operationId: 'rebuildRecommendations',
          summary: 'Counts anew from the history of orders, in the background; answers the counting that is under way where there is one.',
          response: { 202: Counting },
        },
      },
      async (request, reply) => reply.code(202).send(await operations.rebuild({}, request.call)),
    );

    app.get(
      '/admin/recommendations/rebuild',
      {
        config: { access: ['admin'] },
        schema: { tags, operationId: 'getRecommendationsRebuild', summary: 'How far the counting is that was asked for last.', response: { 200: Counting } },
      },
      async (request) => operations.getRebuild({}, request.call),
    );
  };
}
