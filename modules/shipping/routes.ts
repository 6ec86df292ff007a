/** The public face of shipping: customers follow their parcels, administrators send them on their way. */
import { type Static, Type } from '@sinclair/typebox';
import { type Actor, actorOf, OneOf, Page, PageQuery, type RouteApp, type RoutesPlugin, strict, Timestamp, Uuid } from '#kernel';
import { Address, ShipmentItem } from './contract.ts';
import type { Shipment } from './shipment.ts';
import type { Shipping } from './shipping.ts';

const OptionalTime = Type.Union([Timestamp, Type.Null()]);
const ShipmentReply = strict({
  id: Uuid,
  orderId: Uuid,
  customerId: Uuid,
  status: OneOf(['preparing', 'dispatched', 'delivered', 'cancelled']),
  trackingNumber: Type.String({ examples: ['CL7Z0K3M9QW2XR5TB8'] }),
  address: Address,
  items: Type.Array(ShipmentItem),
  cancelReason: Type.Union([Type.String(), Type.Null()]),
  createdAt: Timestamp,
  dispatchedAt: OptionalTime,
  deliveredAt: OptionalTime,
  cancelledAt: OptionalTime,
});
const tags = ['shipping'];
const params = strict({ id: Uuid });
const querystring = strict({ ...PageQuery, orderId: Type.Optional(Uuid) });

export function shippingRoutes(service: Shipping): RoutesPlugin {
  return async (app) => {
    readingRoutes(app, service);
    movingRoutes(app, service);
  };
}

function readingRoutes(app: RouteApp, service: Shipping): void {
  const config = { access: ['customer', 'support', 'admin'] as const };

  app.get(
    '/shipments',
    {
      config,
      schema: {
        tags,
        operationId: 'listShipments',
        summary: 'Shipments, newest first; customers see their own.',
        querystring,
        response: { 200: Page(ShipmentReply) },
      },
    },
    async (request) => {
      const { orderId, limit = 20, cursor } = request.query;
      const { items, nextCursor } = await service.list({ customerId: ownerIn(actorOf(request)), orderId, limit, cursor }, request.call);
      return { items: items.map(reply), nextCursor };
    },
  );

  app.get(
    '/shipments/:id',
    {
      config: { ...config, errors: ['SHIPMENT_NOT_FOUND'] },
      schema: { tags, operationId: 'getShipment', summary: 'One shipment.', params, response: { 200: ShipmentReply } },
    },
    async (request) => reply(await service.shipment(request.params.id, ownerIn(actorOf(request)), request.call)),
  );
}

function movingRoutes(app: RouteApp, service: Shipping): void {
  const config = { access: ['admin'] as const };

  app.post(
    '/shipments/:id/dispatch',
    {
      config: { ...config, errors: ['SHIPMENT_NOT_FOUND', 'SHIPMENT_NOT_PREPARING'] },
      schema: { tags, operationId: 'dispatchShipment', summary: 'The parcel leaves.', params, response: { 200: ShipmentReply } },
    },
    async (request) => reply(await service.dispatch(request.params.id, request.call)),
  );

  app.post(
    '/shipments/:id/deliver',
    {
      config: { ...config, errors: ['SHIPMENT_NOT_FOUND', 'SHIPMENT_NOT_DISPATCHED'] },
      schema: { tags, operationId: 'deliverShipment', summary: 'The parcel has arrived.', params, response: { 200: ShipmentReply } },
    },
    async (request) => reply(await service.deliver(request.params.id, request.call)),
  );
}

/** Customers see their own shipments, staff see all. */
function ownerIn(actor: Actor): string | undefined {
  return actor.role === 'customer' ? actor.id : undefined;
}

function reply(shipment: Shipment): Static<typeof ShipmentReply> {
  const { id, orderId, customerId, status, trackingNumber, address, items, cancelReason } = shipment;
  return {
    id,
    orderId,
    customerId,
    status,
    trackingNumber,
    address: { ...address },
    items: items.map((item) => ({ ...item })),
    cancelReason: cancelReason ?? null,
    createdAt: shipment.createdAt.toISOString(),
    dispatchedAt: shipment.dispatchedAt?.toISOString() ?? null,
    deliveredAt: shipment.deliveredAt?.toISOString() ?? null,
    cancelledAt: shipment.cancelledAt?.toISOString() ?? null,
  };
}
