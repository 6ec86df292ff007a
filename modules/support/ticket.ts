/** A conversation and its messages: the entities, and the rules about who may go on with it. */
import { defineEntity, type InferEntity, p } from '@mikro-orm/core';
import type { Role } from '#kernel';

export const ticketStatuses = ['open', 'closed'] as const;
export type TicketStatus = (typeof ticketStatuses)[number];

const authorRoles = ['customer', 'support', 'admin'] as const satisfies readonly Role[];

export const TicketEntity = defineEntity({
  name: 'Ticket',
  tableName: 'ticket',
  properties: {
    id: p.uuid().primary(),
    customerId: p.uuid(),
    orderId: p.uuid().nullable(),
    subject: p.text(),
    status: p.enum(ticketStatuses),
    messages: p.integer(),
    createdAt: p.datetime().columnType('timestamptz'),
    updatedAt: p.datetime().columnType('timestamptz'),
    closedAt: p.datetime().columnType('timestamptz').nullable(),
  },
  indexes: [
    { name: 'ticket_customer', properties: ['customerId', 'id'] },
    { name: 'ticket_order', properties: ['orderId', 'id'], where: 'order_id is not null' },
    { name: 'ticket_status', properties: ['status', 'id'] },
  ],
  checks: [
    { name: 'ticket_closed_at_check', expression: `(closed_at is not null) = (status = 'closed')` },
    { name: 'ticket_messages_check', expression: 'messages > 0' },
  ],
});

export const MessageEntity = defineEntity({
  name: 'Message',
  tableName: 'message',
  properties: {
    id: p.uuid().primary(),
    ticketId: () => p.manyToOne(TicketEntity).mapToPk().fieldName('ticket_id'),
    authorId: p.uuid(),
    authorRole: p.enum(authorRoles),
    body: p.text(),
    createdAt: p.datetime().columnType('timestamptz'),
  },
  indexes: [{ name: 'message_ticket', properties: ['ticketId', 'id'] }],
});

export type Ticket = InferEntity<typeof TicketEntity>;
export type Message = InferEntity<typeof MessageEntity>;

/** Bounds what reading one ticket can cost. */
export const MAX_MESSAGES = 200;

export function hasRoom({ messages }: Pick<Ticket, 'messages'>): boolean {
  return messages < MAX_MESSAGES;
}

export function isStaff(role: Role): boolean {
  return role !== 'customer';
}
