/**
 * Tickets. Of one ticket:
 *
 *   (none) --a customer opens it--> open (ticketOpened)
 *   open --the customer writes--> open
 *   open --staff writes--> open (ticketAnswered)
 *   open --the customer or staff closes it--> closed (ticketClosed); closing it again changes nothing
 *
 * Messages and closing are decided by the ticket's row lock: nobody's words are added behind its end.
 */
import { LockMode } from '@mikro-orm/core';
import { type Actor, type Call, type Client, type Database, decodeCursor, encodeCursor, isRefusal, refuse, type Transaction, uuidv7 } from '#kernel';
import { orders } from '../orders/contract.ts';
import { support } from './contract.ts';
import { hasRoom, isStaff, MAX_MESSAGES, type Message, MessageEntity, type Ticket, TicketEntity, type TicketStatus } from './ticket.ts';

export interface SupportParts {
  readonly db: Database;
  readonly orders: Client<typeof orders>;
}

export interface Question {
  readonly subject: string;
  readonly body: string;
  readonly orderId?: string | undefined;
}

/** Which tickets a list shows. */
export interface TicketFilter {
  readonly status: TicketStatus | undefined;
  readonly orderId: string | undefined;
  readonly limit: number;
  readonly cursor: string | undefined;
}

export interface TicketPage {
  readonly items: Ticket[];
  readonly nextCursor: string | null;
}

/** A ticket with its messages, oldest first. */
export interface Conversation {
  readonly ticket: Ticket;
  readonly messages: readonly Message[];
}

export class Support {
  readonly #db: Database;
  readonly #orders: Client<typeof orders>;

  constructor(parts: SupportParts) {
    this.#db = parts.db;
    this.#orders = parts.orders;
  }

  /** @throws ContractError ORDER_NOT_FOUND, also for somebody else's order */
  async open(customer: Actor, { subject, body, orderId }: Question, call: Call): Promise<Conversation> {
    const order = orderId === undefined ? null : await this.#ownOrder(orderId, customer, call);
    return this.#db.transaction({ call }, async (tx) => {
      const at = new Date();
      const facts = { customerId: customer.id, orderId: order, subject: subject.trim(), messages: 1 };
      const ticket = tx.em.create(TicketEntity, { id: uuidv7(), ...facts, status: 'open', createdAt: at, updatedAt: at, closedAt: null });
      const message = say(tx, ticket, customer, body);
      tx.publish(support.events.ticketOpened, factsOf(ticket));
      return { ticket, messages: [message] };
    });
  }

  /** Newest first; customers see their own. */
  async list(filter: TicketFilter, reader: Actor, call: Call): Promise<TicketPage> {
    const after = decodeCursor(filter.cursor, ['uuid'])?.[0] as string | undefined;
    const where = {
      ...own(reader),
      ...(filter.status !== undefined && { status: filter.status }),
      ...(filter.orderId !== undefined && { orderId: filter.orderId }),
      ...(after !== undefined && { id: { $lt: after } }),
    };
    const rows = await this.#db.for(call).em().find(TicketEntity, where, { orderBy: { id: 'desc' }, limit: filter.limit + 1 });
    const items = rows.slice(0, filter.limit);
    return { items, nextCursor: rows.length > filter.limit ? encodeCursor([items.at(-1)!.id]) : null };
  }

  /** @throws ContractError TICKET_NOT_FOUND, also for somebody else's */
  async find(id: string, reader: Actor, call: Call): Promise<Conversation> {
    const em = this.#db.for(call).em();
    const ticket = await em.findOne(TicketEntity, { id, ...own(reader) });
    if (!ticket) throw notFound(id);
    return { ticket, messages: await em.find(MessageEntity, { ticketId: id }, { orderBy: { id: 'asc' } }) };
  }

  /** @throws ContractError TICKET_NOT_FOUND, TICKET_CLOSED, TICKET_FULL */
  async write(id: string, author: Actor, body: string, call: Call): Promise<Message> {
    return this.#db.transaction({ call }, async (tx) => {
      const ticket = await lock(tx, id, author);
      if (ticket.status === 'closed') throw refuse(support, 'TICKET_CLOSED', `the ticket ${id} is closed and takes no more messages; open another one`);
      if (!hasRoom(ticket)) throw refuse(support, 'TICKET_FULL', `the ticket ${id} has ${MAX_MESSAGES} messages and takes no more; close it and open another one`);
      const message = say(tx, ticket, author, body);
      ticket.messages += 1;
      ticket.updatedAt = message.createdAt;
      if (isStaff(author.role)) tx.publish(support.events.ticketAnswered, { ...factsOf(ticket), messageId: message.id });
      return message;
    });
  }

  /** @throws ContractError TICKET_NOT_FOUND */
  async close(id: string, actor: Actor, call: Call): Promise<Conversation> {
    await this.#db.transaction({ call }, async (tx) => {
      const ticket = await lock(tx, id, actor);
      if (ticket.status === 'closed') return;
      ticket.status = 'closed';
      ticket.closedAt = ticket.updatedAt = new Date();
      tx.publish(support.events.ticketClosed, { ...factsOf(ticket), by: isStaff(actor.role) ? 'staff' : 'customer' });
    });
    return this.find(id, actor, call);
  }

  /** The order's id as orders write it. */
  async #ownOrder(orderId: string, customer: Actor, call: Call): Promise<string> {
    try {
      const order = await this.#orders.getOrder({ orderId }, call);
      if (order.customerId === customer.id) return order.orderId;
    } catch (error) {
      if (!isRefusal(error, orders, 'ORDER_NOT_FOUND')) throw error;
    }
    throw refuse(support, 'ORDER_NOT_FOUND', `you have no order ${orderId}; name one of your own, or none`);
  }
}

/** From here to the commit nobody else writes to the ticket or closes it. */
async function lock(tx: Transaction, id: string, actor: Actor): Promise<Ticket> {
  const ticket = await tx.em.findOne(TicketEntity, { id, ...own(actor) }, { lockMode: LockMode.PESSIMISTIC_WRITE });
  if (!ticket) throw notFound(id);
  return ticket;
}

function say(tx: Transaction, ticket: Ticket, author: Actor, body: string): Message {
  return tx.em.create(MessageEntity, { id: uuidv7(), ticketId: ticket.id, authorId: author.id, authorRole: author.role, body, createdAt: new Date() });
}

function factsOf({ id, customerId, orderId }: Ticket): { ticketId: string; customerId: string; orderId: string | null } {
  return { ticketId: id, customerId, orderId: orderId ?? null };
}

/** Customers see their own, staff sees all. */
function own(reader: Actor): { customerId?: string } {
  return isStaff(reader.role) ? {} : { customerId: reader.id };
}

function notFound(id: string): Error {
  return refuse(support, 'TICKET_NOT_FOUND', `there is no ticket ${id} that you may see; check the id`);
}
