import { defineContract, event, OneOf, strict, Uuid } from '#kernel';
import { Type } from '@sinclair/typebox';

/** `orderId` is the order that the ticket is about, if it is about one. */
const facts = { ticketId: Uuid, customerId: Uuid, orderId: Type.Union([Uuid, Type.Null()]) };

export const support = defineContract({
  name: 'support',
  version: 1,
  summary: 'Conversations of customers with the shop, about an order or anything else.',
  errors: {
    TICKET_NOT_FOUND: { status: 404, title: 'No such ticket', remedy: 'Check the id.' },
    ORDER_NOT_FOUND: { status: 404, title: 'No such order', remedy: 'Name an order of your own, or none.' },
    TICKET_CLOSED: { status: 409, title: 'The ticket is closed', remedy: 'Open another one.' },
    TICKET_FULL: { status: 409, title: 'The ticket takes no more messages', remedy: 'Close it and open another one.' },
  },
  operations: {},
  events: {
    ticketOpened: event({
      version: 1,
      summary: 'A customer asked for help; what was written stays in this module.',
      aggregate: 'ticketId',
      data: strict(facts),
    }),
    ticketAnswered: event({ version: 1, summary: 'The shop wrote to the customer.', aggregate: 'ticketId', data: strict({ ...facts, messageId: Uuid }) }),
    ticketClosed: event({
      version: 1,
      summary: 'The conversation ended, by whom `by` says.',
      aggregate: 'ticketId',
      data: strict({ ...facts, by: OneOf(['customer', 'staff']) }),
    }),
  },
});
