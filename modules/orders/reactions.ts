/**
 * What payments, shipping and inventory report moves orders along, and becomes a part of their history. Who moves an order by its saga
 * locks the order first, as the saga's own steps do.
 */
import { type Money, on, type Saga, type Subscriber, type Transaction } from '#kernel';
import { inventory } from '../inventory/contract.ts';
import { payments } from '../payments/contract.ts';
import { shipping } from '../shipping/contract.ts';
import { orders } from './contract.ts';
import type { FulfilmentData, Step } from './fulfilment.ts';
import { CUSTOMER_REQUEST, deliveryIsAheadOfFulfilment } from './order.ts';
import { lockOrder, moveOrder, recordReport } from './order-store.ts';

export function reactions(fulfilment: Saga<FulfilmentData, Step>): Subscriber[] {
  return [{ name: 'fulfilment', handlers: [...ofPayments(fulfilment), ...ofShipments(fulfilment), ofExpiry(fulfilment)] }];
}

function ofPayments(fulfilment: Saga<FulfilmentData, Step>) {
  return [
    on(payments.events.paymentCompleted, {
      async apply(event, tx) {
        const { data } = event;
        recordReport(tx, event, 'payment_completed', `${written(data.amount)}: transaction ${data.transactionId}`);
        // A charge of the saga's own is settled by the saga; only a customer's payment is news.
        if (await paysLater(tx, data.orderId)) {
          await lockOrder(tx, data.orderId);
          await fulfilment.signal(tx, data.orderId, 'payment', { paymentId: data.paymentId, message: `Transaction ${data.transactionId}` });
        }
      },
    }),
    on(payments.events.paymentFailed, {
      apply: async (event, tx) => recordReport(tx, event, 'payment_failed', event.data.message),
    }),
    on(payments.events.paymentRefunded, {
      apply: async (event, tx) => recordReport(tx, event, 'payment_refunded', `${written(event.data.amount)}: ${event.data.reason}`),
    }),
  ];
}

function ofShipments(fulfilment: Saga<FulfilmentData, Step>) {
  return [
    on(shipping.events.shipmentDispatched, {
      async apply(event, tx) {
        const { orderId, trackingNumber } = event.data;
        recordReport(tx, event, 'shipment_dispatched', trackingNumber);
        await lockOrder(tx, orderId);
        await fulfilment.signal(tx, orderId, 'dispatch', { trackingNumber });
      },
    }),
    on(shipping.events.shipmentDelivered, {
      async apply(event, tx) {
        const { data } = event;
        recordReport(tx, event, 'shipment_delivered', data.trackingNumber);
        const moved = await moveOrder(tx, { id: data.orderId, from: ['confirmed', 'shipped'], to: 'delivered', event: 'order_delivered', detail: `Shipment ${data.trackingNumber} arrived` });
        if (moved) tx.publish(orders.events.orderDelivered, { orderId: data.orderId, customerId: data.customerId });
        else if (deliveryIsAheadOfFulfilment((await lockOrder(tx, data.orderId))?.status)) throw new Error(`order ${data.orderId} has not recorded its shipment yet; its delivery is reported again`);
      },
    }),
    on(shipping.events.shipmentCancelled, {
      async apply(event, tx) {
        const { orderId, reason } = event.data;
        recordReport(tx, event, 'shipment_cancelled', reason);
        // Also what completes a cancellation whose process died between stopping the shipment and ending the order.
        await lockOrder(tx, orderId);
        await fulfilment.abort(tx, orderId, reason === CUSTOMER_REQUEST ? reason : 'SHIPPING_FAILED');
      },
    }),
  ];
}

function ofExpiry(fulfilment: Saga<FulfilmentData, Step>) {
  return on(inventory.events.reservationExpired, {
    async apply(event, tx) {
      recordReport(tx, event, 'reservation_expired', 'The time of the reservation was up: the pieces are free again');
      await lockOrder(tx, event.data.orderId);
      await fulfilment.abort(tx, event.data.orderId, 'RESERVATION_EXPIRED');
    },
  });
}

/** An amount as people write it, e.g. `59.97 USD`. */
function written({ amount, currency }: Money): string {
  const digits = new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2;
  return `${(amount / 10 ** digits).toFixed(digits)} ${currency}`;
}

async function paysLater(tx: Transaction, orderId: string): Promise<boolean> {
  const [row] = await tx.sql<{ pays_later: boolean }>('select pays_later from customer_order where id = $1', [orderId]);
  return row?.pays_later ?? false;
}
