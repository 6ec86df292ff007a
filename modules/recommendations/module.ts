import { Type } from '@sinclair/typebox';
import { defineModule, type Operations } from '#kernel';
import { catalog } from '../catalog/contract.ts';
import { orders } from '../orders/contract.ts';
import { recommendations } from './contract.ts';
import { CountingEntity, countingReply } from './counting.ts';
import { boughtTogether } from './reactions.ts';
import { latestCounting, rebuilds, requestRebuild } from './rebuild.ts';
import { recommend } from './recommendations.ts';
import { recommendationRoutes } from './routes.ts';

export default defineModule({
  contract: recommendations,
  dependencies: { catalog, orders },
  consumes: { orders },
  subscribes: { 'bought-together': [orders.events.orderConfirmed, orders.events.orderCancelled] },
  paths: ['/recommendations', '/admin/recommendations'],
  settings: Type.Object({}),
  entities: [CountingEntity],
  setup({ db, clients }) {
    const operations: Operations<typeof recommendations> = {
      getRecommendations: async ({ productId, limit }, call) => ({ items: await recommend({ db, catalog: clients.catalog }, productId, limit, call) }),
      rebuild: async (_input, call) => countingReply(await requestRebuild(db, call)),
      getRebuild: async (_input, call) => countingReply(await latestCounting(db, call)),
    };
    return {
      operations,
      routes: recommendationRoutes(operations),
      subscribers: [boughtTogether],
      tasks: [rebuilds({ db, orders: clients.orders })],
    };
  },
});
