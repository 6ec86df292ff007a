import { Type } from '@sinclair/typebox';
import { defineModule } from '#kernel';
import { countryPattern, shipping } from './contract.ts';
import { shippingRoutes } from './routes.ts';
import { ShipmentEntity } from './shipment.ts';
import { Shipping } from './shipping.ts';

export default defineModule({
  contract: shipping,
  dependencies: {},
  consumes: {},
  paths: ['/shipments'],
  settings: Type.Object({
    SHIPPING_COUNTRIES: Type.Array(Type.String({ pattern: countryPattern, expected: 'an ISO 3166-1 alpha-2 code that is assigned to a country' }), {
      default: [],
      examples: [['DE', 'FR', 'US']],
      description: 'Countries that are delivered to, with commas between; all when it is not set',
    }),
  }),
  entities: [ShipmentEntity],
  setup({ db, settings }) {
    const service = new Shipping({ db, served: new Set(settings.SHIPPING_COUNTRIES) });
    return { operations: service.operations, routes: shippingRoutes(service) };
  },
});
