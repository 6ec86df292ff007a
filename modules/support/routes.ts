/** The public face of support: customers ask, staff answers, either ends it. */
import { type Static, Type } from '@sinclair/typebox';
import { actorOf, OneOf, Page, PageQuery, type RouteApp, type RoutesPlugin, strict, Timestamp, Uuid } from '#kernel';
import type { Conversation, Support } from './support.ts';
import { type Message, type Ticket, ticketStatuses } from './ticket.ts';

const LINE = '^(?=.*\\S)[^\\u0000-\\u001f\\u007f\\ud800-\\udfff]*$';
const TEXT = '^(?=[\\s\\S]*\\S)[^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f\\ud800-\\udfff]*$';
const subject = Type.String({ minLength: 1, maxLength: 200, pattern: LINE, description: 'a line of text that is not blank' });
const body = Type.String({ minLength: 1, maxLength: 5_000, pattern: TEXT, description: 'text that is not blank, without control characters, line breaks and tabs aside' });

const MessageReply = strict({
  id: Uuid,
  authorId: Uuid,
  authorRole: OneOf(['customer', 'support', 'admin'], { description: 'What the author was when it was written' }),
  body: Type.String(),
  createdAt: Timestamp,
});
const facts = {
  id: Uuid,
  customerId: Uuid,
  orderId: Type.Union([Uuid, Type.Null()]),
  subject: Type.String(),
  status: OneOf(ticketStatuses),
  createdAt: Timestamp,
  updatedAt: Timestamp,
  closedAt: Type.Union([Timestamp, Type.Null()]),
};
const TicketReply = strict(facts);
const ConversationReply = strict({ ...facts, messages: Type.Array(MessageReply, { description: 'Oldest first' }) });

const params = strict({ id: Uuid });
const tags = ['support'];
const anybody = ['customer', 'support', 'admin'] as const;

export function supportRoutes(service: Support): RoutesPlugin {
  return async (app) => {
    readingRoutes(app, service);
    writingRoutes(app, service);
  };
}

function readingRoutes(app: RouteApp, service: Support): void {
  app.get(
    '/tickets',
    {
      config: { access: anybody },
      schema: {
        tags,
        operationId: 'listTickets',
        summary: 'Tickets without their messages, newest first; customers see their own.',
        querystring: strict({ ...PageQuery, status: Type.Optional(OneOf(ticketStatuses)), orderId: Type.Optional(Uuid) }),
        response: { 200: Page(TicketReply) },
      },
    },
    async (request) => {
      const { limit = 20, cursor, status, orderId } = request.query;
      const { items, nextCursor } = await service.list({ status, orderId, limit, cursor }, actorOf(request), request.call);
      return { items: items.map(ticketReply), nextCursor };
    },
  );

  app.get(
    '/tickets/:id',
    {
      config: { access: anybody, errors: ['TICKET_NOT_FOUND'] },
      schema: { tags, operationId: 'getTicket', summary: 'One ticket with its messages.', params, response: { 200: ConversationReply } },
    },
    async (request) => conversationReply(await service.find(request.params.id, actorOf(request), request.call)),
  );
}

function writingRoutes(app: RouteApp, service: Support): void {
  app.post(
    '/tickets',
    {
      config: { access: ['customer'], errors: ['ORDER_NOT_FOUND'] },
      schema: {
        tags,
        operationId: 'openTicket',
        summary: 'Asks for help, about one of your orders or anything else.',
        body: strict({ subject, body, orderId: Type.Optional(Uuid) }),
        response: { 201: ConversationReply },
      },
    },
    async (request, reply) => {
      const opened = await service.open(actorOf(request), request.body, request.call);
      return reply.code(201).send(conversationReply(opened));
    },
  );

  app.post(
    '/tickets/:id/messages',
    {
      config: { access: anybody, errors: ['TICKET_NOT_FOUND', 'TICKET_CLOSED', 'TICKET_FULL'] },
      schema: { tags, operationId: 'writeMessage', summary: 'Adds a message to a ticket.', params, body: strict({ body }), response: { 201: MessageReply } },
    },
    async (request, reply) => {
      const message = await service.write(request.params.id, actorOf(request), request.body.body, request.call);
      return reply.code(201).send(messageReply(message));
    },
  );

  app.post(
    '/tickets/:id/close',
    {
      config: { access: anybody, errors: ['TICKET_NOT_FOUND'] },
      schema: { tags, operationId: 'closeTicket', summary: 'Ends a conversation; one that has ended stays as it is.', params, response: { 200: ConversationReply } },
    },
    async (request) => conversationReply(await service.close(request.params.id, actorOf(request), request.call)),
  );
}

function ticketReply(ticket: Ticket): Static<typeof TicketReply> {
  const { id, customerId, orderId, subject: about, status } = ticket;
  return {
    id,
    customerId,
    orderId: orderId ?? null,
    subject: about,
    status,
    createdAt: ticket.createdAt.toISOString(),
    updatedAt: ticket.updatedAt.toISOString(),
    closedAt: ticket.closedAt?.toISOString() ?? null,
  };
}

function conversationReply({ ticket, messages }: Conversation): Static<typeof ConversationReply> {
  return { ...ticketReply(ticket), messages: messages.map(messageReply) };
}

function messageReply({ id, authorId, authorRole, body: text, createdAt }: Message): Static<typeof MessageReply> {
  return { id, authorId, authorRole, body: text, createdAt: createdAt.toISOString() };
}
