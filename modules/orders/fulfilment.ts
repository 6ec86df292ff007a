/**
 * Fulfilment of an order (invariant I6). Status of the order in brackets.
 *
 *   reserve [pending] --reserved, card given--> charge --completed--> commit
 *                     --reserved, no card--> open --> payment [awaiting_payment] --paid--> commit
 *   commit [paid] --held--> ship --created--> dispatch [confirmed] --dispatched--> finished [shipped] … [delivered]
 *
 *   anything else, and the customer's wish, compensates: [rejected] when out of stock, else [cancelled];
 *   undo, last first: stop the shipment, close the payments (gives money back), release the stock.
 */
import { type Clients, createSaga, type Database, isRefusal, type Money, type Next, type Saga, type SagaDefinition, type Transaction } from '#kernel';
import { inventory } from '../inventory/contract.ts';
import type { payments } from '../payments/contract.ts';
import type { shipping } from '../shipping/contract.ts';
import { orders } from './contract.ts';
import { CUSTOMER_REQUEST, endStatus, type PricedLine } from './order.ts';
import { moveOrder, moveOrderLater, recordHistory, recordRelease } from './order-store.ts';

export interface FulfilmentData {
  readonly orderId: string;
  readonly customerId: string;
  readonly total: Money;
  readonly items: readonly PricedLine[];
  readonly address: { name: string; line1: string; line2?: string; city: string; postalCode: string; country: string };
  readonly reservedUntil: string;
  /** Kept only until the charge has been settled. */
  cardToken?: string;
}

export type Step = 'reserve' | 'open' | 'payment' | 'charge' | 'commit' | 'ship' | 'dispatch';

export interface Paid {
  readonly paymentId: string;
  readonly message: string;
}

export interface FulfilmentOptions {
  readonly paymentTimeoutMs: number;
}

type Calls = Clients<{ inventory: typeof inventory; payments: typeof payments; shipping: typeof shipping }>;

const step = (name: Step): Next<Step> => ({ do: 'step', step: name });
const compensate = (reason: string): Next<Step> => ({ do: 'compensate', reason });
const NOT_ENDED = ['pending', 'awaiting_payment', 'paid', 'confirmed'] as const;

export function createFulfilment(db: Database, calls: Calls, options: FulfilmentOptions): Saga<FulfilmentData, Step> {
  const definition: SagaDefinition<FulfilmentData, Step> = {
    name: 'fulfilment',
    first: 'reserve',
    steps: {
      reserve: reserveStep(calls),
      open: openStep(calls, options),
      payment: paymentStep(),
      charge: chargeStep(calls, options),
      commit: commitStep(calls),
      ship: shipStep(calls),
      dispatch: dispatchStep(),
    },
    compensating: orderEnds,
    async compensated(data, _reason, tx) {
      recordRelease(tx, data.orderId);
      recordHistory(tx, data.orderId, 'compensated', 'Nothing is reserved, charged or sent any more');
    },
  };
  return createSaga(db, definition);
}

type Steps = SagaDefinition<FulfilmentData, Step>['steps'];

function reserveStep({ inventory: stock }: Calls): Steps['reserve'] {
  return {
    async effect({ orderId, items, reservedUntil }, call) {
      return stock.reserve({ orderId, items: items.map(({ productId, quantity }) => ({ productId, quantity })), expiresAt: reservedUntil }, call);
    },
    async settle(data, { outcome, missing }: { outcome: string; missing: readonly string[] }, tx) {
      if (outcome === 'released') return compensate('RESERVATION_EXPIRED');
      if (outcome === 'out_of_stock') {
        recordHistory(tx, data.orderId, 'out_of_stock', missing.join(', '));
        return compensate('OUT_OF_STOCK');
      }
      recordHistory(tx, data.orderId, 'stock_reserved', `until ${data.reservedUntil}`);
      return step(data.cardToken === undefined ? 'open' : 'charge');
    },
    async undo({ orderId }, call) {
      await stock.release({ orderId }, call);
    },
  };
}

function closePayments({ payments: money }: Calls): Steps['charge']['undo'] {
  return async ({ orderId, customerId }, call) => void (await money.close({ orderId, customerId, reason: 'The order was cancelled' }, call));
}

function openStep(calls: Calls, { paymentTimeoutMs }: FulfilmentOptions): Steps['open'] {
  return {
    async effect({ orderId, customerId, total }, call) {
      return calls.payments.open({ orderId, customerId, amount: total }, call);
    },
    async settle(data, { status }: { status: string }, tx) {
      if (status === 'closed') return compensate('PAYMENT_TIMEOUT');
      moveOrderLater(tx, { id: data.orderId, from: ['pending'], to: 'awaiting_payment', event: 'awaiting_payment', detail: 'Pay with POST /api/v1/payments' });
      return { do: 'wait', step: 'payment', timeoutMs: paymentTimeoutMs };
    },
    undo: closePayments(calls),
  };
}

function paymentStep(): Steps['payment'] {
  return {
    settle: async (data, paid: Paid, tx) => orderIsPaid(data, paid, tx),
    timedOut: async () => compensate('PAYMENT_TIMEOUT'),
  };
}

function chargeStep(calls: Calls, { paymentTimeoutMs }: FulfilmentOptions): Steps['charge'] {
  return {
    giveUpAfterMs: paymentTimeoutMs,
    giveUpReason: 'PAYMENT_TIMEOUT',
    async effect({ orderId, customerId, total, cardToken }, call) {
      return calls.payments.charge({ orderId, customerId, amount: total, cardToken: cardToken! }, call);
    },
    async settle(data, result: { outcome: string; paymentId: string | null; message: string }, tx) {
      delete data.cardToken;
      if (result.outcome === 'completed') return orderIsPaid(data, { paymentId: result.paymentId!, message: result.message }, tx);
      return compensate(result.outcome === 'declined' ? 'PAYMENT_DECLINED' : 'PAYMENT_TIMEOUT');
    },
    undo: closePayments(calls),
  };
}

async function orderIsPaid(data: FulfilmentData, paid: Paid, tx: Transaction): Promise<Next<Step>> {
  moveOrderLater(tx, { id: data.orderId, from: ['pending', 'awaiting_payment'], to: 'paid', event: 'order_paid', detail: paid.message });
  return step('commit');
}

function commitStep({ inventory: stock }: Calls): Steps['commit'] {
  return {
    async effect({ orderId }, call) {
      try {
        await stock.commit({ orderId }, call);
        return true;
      } catch (error) {
        if (isRefusal(error, inventory, 'RESERVATION_NOT_HELD')) return false;
        throw error;
      }
    },
    async settle(data, held: boolean, tx) {
      if (!held) return compensate('RESERVATION_EXPIRED');
      recordHistory(tx, data.orderId, 'stock_committed', 'The pieces are the customer\'s');
      return step('ship');
    },
  };
}

function shipStep({ shipping: parcels }: Calls): Steps['ship'] {
  return {
    async effect({ orderId, customerId, address, items }, call) {
      return parcels.createShipment({ orderId, customerId, address, items: items.map(({ productId, name, quantity }) => ({ productId, name, quantity })) }, call);
    },
    async settle(data, result: { outcome: string; trackingNumber: string | null }, tx) {
      // Stopped before it was made, of which shipping has nothing to report.
      if (result.outcome === 'cancelled') return compensate(CUSTOMER_REQUEST);
      if (result.outcome !== 'created') return compensate('SHIPPING_FAILED');
      await moveOrder(tx, { id: data.orderId, from: ['paid'], to: 'confirmed', event: 'order_confirmed', detail: `Shipment ${result.trackingNumber} is being prepared` });
      tx.publish(orders.events.orderConfirmed, facts(data));
      return { do: 'wait', step: 'dispatch', timeoutMs: Number.POSITIVE_INFINITY };
    },
    async undo({ orderId }, call) {
      await parcels.cancelShipment({ orderId, reason: CUSTOMER_REQUEST }, call);
    },
  };
}

function dispatchStep(): Steps['dispatch'] {
  return {
    async settle(data, { trackingNumber }: { trackingNumber: string }, tx) {
      await moveOrder(tx, { id: data.orderId, from: ['confirmed'], to: 'shipped', event: 'order_shipped', detail: `Shipment ${trackingNumber} left` });
      tx.publish(orders.events.orderShipped, { orderId: data.orderId, customerId: data.customerId, trackingNumber });
      return { do: 'finish' };
    },
  };
}

/** Shows the end at once; what was taken is given back by the compensation that follows. */
async function orderEnds(data: FulfilmentData, reason: string, tx: Transaction): Promise<void> {
  delete data.cardToken;
  const to = endStatus(reason);
  const ended = await moveOrder(tx, { id: data.orderId, from: NOT_ENDED, to, reason, event: `order_${to}`, detail: reason });
  if (ended) tx.publish(orders.events.orderCancelled, { ...facts(data), reason });
}

export function facts({ orderId, customerId, items, total }: Pick<FulfilmentData, 'orderId' | 'customerId' | 'items' | 'total'>) {
  return { orderId, customerId, total, items: items.map(({ productId, name, quantity, unitPrice }) => ({ productId, name, quantity, unitPrice })) };
}
