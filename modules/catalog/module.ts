import { Type } from '@sinclair/typebox';
import { defineModule } from '#kernel';
import { Catalog } from './catalog.ts';
import { CategorySchema } from './category.ts';
import { catalog } from './contract.ts';
import { ProductSchema } from './product.ts';
import { catalogRoutes } from './routes.ts';

export default defineModule({
  contract: catalog,
  dependencies: {},
  consumes: {},
  paths: ['/products', '/categories'],
  settings: Type.Object({}),
  entities: [ProductSchema, CategorySchema],
  extensions: ['pg_trgm'],
  setup({ db, caches }) {
    const service = new Catalog({ db, caches });
    return {
      operations: service.operations,
      routes: catalogRoutes(service),
      seed: async (call) => service.seed(call),
    };
  },
});
