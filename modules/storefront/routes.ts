/** The public face of the storefront. */
import { Type } from '@sinclair/typebox';
import { OneOf, type RoutesPlugin, strict, Uuid } from '#kernel';
import { Product } from '../catalog/contract.ts';
import { Availability } from '../inventory/contract.ts';
import { Recommendation } from '../recommendations/contract.ts';
import { Role } from '../users/contract.ts';
import { type PageClients, parts, productPage } from './product-page.ts';

const StockOnPage = strict(
  { ...Type.Partial(Availability).properties, status: OneOf(['in_stock', 'low', 'out_of_stock', 'unknown'], { description: '`unknown`, and nothing else, where the stock could not be asked in time' }) },
);

const ProductPage = strict({
  product: Product,
  inventory: StockOnPage,
  recommendations: Type.Array(Recommendation, { description: 'Bought together with it, best first' }),
  viewer: Type.Optional(strict({ id: Uuid, username: Type.String(), role: Role }, { description: 'Who has signed in' })),
  degraded: Type.Array(OneOf(parts), { description: 'Parts that were late or down: a stand-in is in their place' }),
});

export function storefrontRoutes(clients: PageClients): RoutesPlugin {
  return async (app) => {
    app.get(
      '/product-pages/:productId',
      {
        config: { access: 'optional', errors: ['PRODUCT_NOT_FOUND'] },
        schema: {
          tags: ['storefront'],
          operationId: 'getProductPage',
          summary: 'All that the page of a product shows; parts that do not come in time are replaced and named.',
          params: strict({ productId: Uuid }),
          response: { 200: ProductPage },
        },
      },
      async (request) => productPage(clients, request.params.productId, request.actor, request.call),
    );
  };
}
