import { createIdempotency, defineModule, Duration } from '#kernel';
import { Type } from '@sinclair/typebox';
import { catalog } from '../catalog/contract.ts';
import { inventory } from '../inventory/contract.ts';
import { payments } from '../payments/contract.ts';
import { shipping } from '../shipping/contract.ts';
import { orders } from './contract.ts';
import { createFulfilment } from './fulfilment.ts';
import { OrderEntity } from './order.ts';
import { OrderEventEntity, OrderItemEntity } from './order-item.ts';
import { Orders, type OrderView } from './orders.ts';
import { reactions } from './reactions.ts';
import { orderRoutes } from './routes.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

export default defineModule({
  contract: orders,
  dependencies: { catalog, inventory, payments, shipping },
  consumes: { inventory, payments, shipping },
  subscribes: {
    fulfilment: [
      payments.events.paymentCompleted,
      payments.events.paymentFailed,
      payments.events.paymentRefunded,
      shipping.events.shipmentDispatched,
      shipping.events.shipmentDelivered,
      shipping.events.shipmentCancelled,
      inventory.events.reservationExpired,
    ],
  },
  paths: ['/orders'],
  settings: Type.Object({
    PAYMENT_TIMEOUT: Duration({ default: 30 * 60_000, minimum: 100, description: 'How long an order waits for its payment before it is cancelled.' }),
  }),
  entities: [OrderEntity, OrderItemEntity, OrderEventEntity],
  setup({ db, clients, settings }) {
    const paymentTimeoutMs = settings.PAYMENT_TIMEOUT;
    const fulfilment = createFulfilment(db, clients, { paymentTimeoutMs });
    const idempotency = createIdempotency();
    const service = new Orders({ db, clients, fulfilment, idempotency, paymentTimeoutMs });
    return {
      operations: {
        getOrder: async ({ orderId }, call) => orderFacts(await service.get(orderId, call)),
        listOrders: async ({ limit, after }, call) => ({ items: (await service.after(after ?? null, limit, call)).map(orderFacts) }),
        recordFacts: async (input, call) => ({ withoutOrder: await service.record(input.facts, call) }),
      },
      routes: orderRoutes(service),
      subscribers: reactions(fulfilment),
      sagas: [fulfilment],
      tasks: [{ name: 'forget-idempotency-keys', everyMs: HOUR_MS, firstAfterMs: MINUTE_MS, run: async () => idempotency.forget(db) }],
    };
  },
});

function orderFacts({ id, customerId, items, total, status, statusReason, createdAt }: OrderView) {
  return { orderId: id, customerId, items, total, status, statusReason, createdAt };
}
