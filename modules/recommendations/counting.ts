/** A counting of all orders: the entity, and the rules of what is counted; pure. */
import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import type { DeepReadonly, Output } from '#kernel';
import type { orders } from '../orders/contract.ts';
import type { recommendations } from './contract.ts';

export const CountingEntity = defineEntity({
  name: 'Counting',
  tableName: 'counting',
  properties: {
    id: p.uuid().primary(),
    status: p.enum(['running', 'current', 'outdated'] as const),
    afterOrder: p.uuid().nullable(),
    ordersRead: p.integer().defaultRaw('0'),
    requestedAt: p.datetime().columnType('timestamptz').defaultRaw('now()'),
    finishedAt: p.datetime().columnType('timestamptz').nullable(),
  },
  uniques: [{ name: 'counting_status', properties: ['status'], where: `status <> 'outdated'` }],
});

export type Counting = InferEntity<typeof CountingEntity>;

export function countingReply({ id, ordersRead, requestedAt, finishedAt }: Counting): Output<typeof recommendations.operations.rebuild> {
  return { id, status: finishedAt ? 'finished' : 'running', ordersRead, requestedAt: requestedAt.toISOString(), finishedAt: finishedAt?.toISOString() ?? null };
}

/** An order as its history tells of it. */
export type PastOrder = DeepReadonly<Output<typeof orders.operations.listOrders>['items'][number]>;

/** What an order pairs: each of its products once, however many pieces or lines. */
export function productsOf(items: PastOrder['items']): string[] {
  return [...new Set(items.map(({ productId }) => productId))].sort();
}

/** Bought is what is paid for and on its way; before that an order may still come to nothing without anybody's regret. */
export function wasBought(status: PastOrder['status']): boolean {
  return status === 'confirmed' || status === 'shipped' || status === 'delivered';
}

/** An order that ended so is never bought any more. */
export function cameToNothing(status: PastOrder['status']): boolean {
  return status === 'rejected' || status === 'cancelled';
}
