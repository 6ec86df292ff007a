/** The order: its entity and its rules, without I/O. */
import { defineEntity, p } from '@mikro-orm/core';
import { CallError, refuse, type Money } from '#kernel';
import { orders } from './contract.ts';

const statuses = ['pending', 'awaiting_payment', 'paid', 'confirmed', 'shipped', 'delivered', 'rejected', 'cancelled'] as const;
export type OrderStatus = (typeof statuses)[number];

/** Why an order ended without a delivery. */
export type EndReason = 'OUT_OF_STOCK' | 'PAYMENT_DECLINED' | 'PAYMENT_TIMEOUT' | 'CUSTOMER_REQUEST' | 'SHIPPING_FAILED' | 'RESERVATION_EXPIRED';

/** Also by staff on the customer's behalf; the only reason for which orders has a shipment cancelled. */
export const CUSTOMER_REQUEST: EndReason = 'CUSTOMER_REQUEST';

export interface Line {
  readonly productId: string;
  readonly quantity: number;
}

export interface PricedLine extends Line {
  readonly name: string;
  readonly unitPrice: Money;
}

interface Priced {
  readonly id: string;
  readonly name: string;
  readonly price: Money;
}

export const OrderEntity = defineEntity({
  name: 'CustomerOrder',
  tableName: 'customer_order',
  properties: {
    id: p.uuid().primary(),
    customerId: p.uuid(),
    status: p.enum(statuses),
    statusReason: p.text().nullable(),
    total: p.bigint('number'),
    currency: p.text(),
    paysLater: p.boolean(),
    shippingAddress: p.json(),
    createdAt: p.datetime().columnType('timestamptz'),
    updatedAt: p.datetime().columnType('timestamptz'),
  },
  checks: [{ name: 'customer_order_total_check', expression: 'total >= 0' }],
  indexes: [{ name: 'customer_order_by_customer', properties: ['customerId', 'id'] }],
});

export const MAX_QUANTITY = 1_000;
const MAX_TOTAL = 1_000_000_000_000;

/** Lines of the same product become one, in the order of their first mention. */
export function sameProductsAreAddedUp(lines: readonly Line[]): Line[] {
  const quantities = new Map<string, number>();
  for (const { productId, quantity } of lines) {
    const id = productId.toLowerCase();
    quantities.set(id, (quantities.get(id) ?? 0) + quantity);
  }
  return [...quantities].map(([productId, quantity]) => ({ productId, quantity }));
}

/**
 * The bound of a line holds for what lines of one product add up to.
 * @throws CallError VALIDATION_FAILED naming every product of which more is wanted
 */
export function noProductIsOrderedInExcess(lines: readonly Line[]): void {
  const errors = lines
    .filter(({ quantity }) => quantity > MAX_QUANTITY)
    .map(({ productId, quantity }) => `adds up to ${quantity} pieces of ${productId}; at most ${MAX_QUANTITY} of one product can be ordered`)
    .map((message) => ({ path: '/items', message }));
  if (errors.length > 0) throw new CallError('VALIDATION_FAILED', 'lines of the same product add up to too many pieces: see errors', { errors });
}

/** @throws ContractError PRODUCT_NOT_FOUND naming every product that cannot be ordered */
export function everyProductCanBeOrdered(lines: readonly Line[], products: readonly Priced[]): void {
  const known = new Set(products.map((product) => product.id));
  const productIds = lines.map((line) => line.productId).filter((id) => !known.has(id));
  if (productIds.length === 0) return;
  throw refuse(orders, 'PRODUCT_NOT_FOUND', `these products cannot be ordered: ${productIds.join(', ')}; take them out of the basket`, { productIds });
}

/** Prices are the catalog's at this moment and never change after. */
export function pricesAreTakenFromTheCatalog(lines: readonly Line[], products: readonly Priced[]): PricedLine[] {
  const byId = new Map(products.map((product) => [product.id, product]));
  return lines.map(({ productId, quantity }) => {
    const { name, price } = byId.get(productId)!;
    return { productId, quantity, name, unitPrice: { amount: price.amount, currency: price.currency } };
  });
}

/** @throws ContractError CURRENCIES_DIFFER, ORDER_TOO_LARGE */
export function totalOf(lines: readonly PricedLine[]): Money {
  const currencies = [...new Set(lines.map((line) => line.unitPrice.currency))];
  if (currencies.length > 1) throw refuse(orders, 'CURRENCIES_DIFFER', `the products are priced in ${currencies.join(' and ')}; order them separately`);
  const amount = lines.reduce((sum, line) => sum + line.quantity * line.unitPrice.amount, 0);
  if (amount > MAX_TOTAL) throw refuse(orders, 'ORDER_TOO_LARGE', `the total of ${amount} is more than the ${MAX_TOTAL} that one order may come to`);
  return { amount, currency: currencies[0]! };
}

/** An order that ran out of stock was never accepted: it is rejected. Any other that ends early is cancelled. */
export function endStatus(reason: string): 'rejected' | 'cancelled' {
  return reason === 'OUT_OF_STOCK' ? 'rejected' : 'cancelled';
}

/** Until its shipment is dispatched, and as long as it has not ended. */
export function orderCanBeCancelled(status: OrderStatus): boolean {
  return status === 'pending' || status === 'awaiting_payment' || status === 'paid' || status === 'confirmed';
}

/** From `paid` on a shipment may exist or be under way: it must be stopped before the order is cancelled. */
export function shipmentMayExist(status: OrderStatus): boolean {
  return status === 'paid' || status === 'confirmed';
}

/** The parcel was sent and delivered while fulfilment, held up, has yet to record that there is one. */
export function deliveryIsAheadOfFulfilment(status: OrderStatus | undefined): boolean {
  return status === 'pending' || status === 'awaiting_payment' || status === 'paid';
}
