import { Type } from '@sinclair/typebox';
import { defineModule } from '#kernel';
import { catalog } from '../catalog/contract.ts';
import { inventory } from '../inventory/contract.ts';
import { recommendations } from '../recommendations/contract.ts';
import { users } from '../users/contract.ts';
import { storefront } from './contract.ts';
import { storefrontRoutes } from './routes.ts';

export default defineModule({
  contract: storefront,
  dependencies: { catalog, inventory, recommendations, users },
  consumes: {},
  paths: ['/product-pages'],
  settings: Type.Object({}),
  entities: [],
  setup: ({ clients }) => ({ operations: {}, routes: storefrontRoutes(clients) }),
});
