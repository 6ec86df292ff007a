import { Type } from '@sinclair/typebox';
import { defineModule } from '#kernel';
import { catalog } from '../catalog/contract.ts';
import { AdjustmentEntity } from './adjustment.ts';
import { inventory } from './contract.ts';
import { Inventory } from './inventory.ts';
import { reactions } from './reactions.ts';
import { inventoryRoutes } from './routes.ts';
import { StockEntity } from './stock.ts';

export default defineModule({
  contract: inventory,
  dependencies: { catalog },
  consumes: { catalog },
  subscribes: { stock: [catalog.events.productCreated, catalog.events.productDeleted] },
  paths: ['/inventory'],
  settings: Type.Object({
    LOW_STOCK_THRESHOLD: Type.Integer({ default: 5, minimum: 0, maximum: 1_000_000, description: 'Stock of this many pieces or fewer shows as low' }),
    RESERVATION_EXPIRY_INTERVAL_MS: Type.Integer({
      default: 1_000,
      minimum: 10,
      maximum: 60_000,
      description: 'How often stock is freed whose reservation is past its time, in milliseconds',
    }),
  }),
  entities: [StockEntity, AdjustmentEntity],
  setup({ db, clients, settings }) {
    const service = new Inventory({ db, catalog: clients.catalog, lowThreshold: settings.LOW_STOCK_THRESHOLD });
    return {
      operations: service.operations,
      routes: inventoryRoutes(service),
      subscribers: reactions(service),
      tasks: [{ name: 'expire-reservations', everyMs: settings.RESERVATION_EXPIRY_INTERVAL_MS, run: async (call) => service.reservations.expire(call) }],
      seed: async (call) => service.seed(call),
    };
  },
});
