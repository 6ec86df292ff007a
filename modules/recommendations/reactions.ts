/** What recommendations do about the events of orders. */
import { on, type Subscriber } from '#kernel';
import { orders } from '../orders/contract.ts';
import { productsOf } from './counting.ts';
import { count, liveCountings, takeBack } from './counts.ts';

export const boughtTogether: Subscriber = {
  name: 'bought-together',
  handlers: [
    on(orders.events.orderConfirmed, {
      apply: async ({ data }, tx) => count(tx, await liveCountings(tx), { orderId: data.orderId, productIds: productsOf(data.items) }),
    }),
    on(orders.events.orderCancelled, {
      apply: async ({ data }, tx) => takeBack(tx, await liveCountings(tx), data.orderId),
    }),
  ],
};
