/** Tells customers about their orders, payments and tickets. */
import { type Call, type Client, isRefusal, on, type Subscriber } from '#kernel';
import { orders } from '../orders/contract.ts';
import { payments } from '../payments/contract.ts';
import { support } from '../support/contract.ts';
import { users } from '../users/contract.ts';
import * as messages from './messages.ts';
import type { Customer, Notifications } from './notifications.ts';

type Users = Client<typeof users>;

/** The subscriber that turns each fact into messages. The customer is asked for before the transaction. */
export function customerMessages({ tell }: Notifications, clients: { readonly users: Users }): Subscriber {
  const load = (event: { readonly data: { readonly customerId: string } }, call: Call) => customerOf(clients.users, event.data.customerId, call);
  return {
    name: 'customer-messages',
    handlers: [
      on(orders.events.orderPlaced, {
        load,
        apply: (event, tx, customer) => tell(tx, event, customer, messages.yourOrderWasReceived(event.data)),
      }),
      on(payments.events.paymentCompleted, {
        load,
        apply: (event, tx, customer) => tell(tx, event, customer, messages.yourPaymentWentThrough(event.data)),
      }),
      on(payments.events.paymentFailed, {
        load,
        apply: (event, tx, customer) => tell(tx, event, customer, messages.yourPaymentFailed(event.data)),
      }),
      on(orders.events.orderShipped, {
        load,
        apply: (event, tx, customer) => tell(tx, event, customer, messages.yourOrderIsOnItsWay(event.data)),
      }),
      on(orders.events.orderCancelled, {
        load,
        apply: (event, tx, customer) => tell(tx, event, customer, messages.yourOrderWasCancelled(event.data)),
      }),
      on(support.events.ticketAnswered, {
        load,
        apply: (event, tx, customer) => tell(tx, event, customer, messages.yourTicketWasAnswered(event.data)),
      }),
    ],
  };
}

/** Null for a customer who is gone: there is nobody left to tell, and no retry will bring one back. */
async function customerOf(client: Users, userId: string, call: Call): Promise<Customer | null> {
  try {
    return await client.getUser({ userId }, call);
  } catch (error) {
    if (isRefusal(error, users, 'USER_NOT_FOUND')) return null;
    throw error;
  }
}
