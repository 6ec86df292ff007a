/**
 * Puts what happens to a ticket on the record of the order that it is about. Orders cannot hear of tickets: support depends on orders. So
 * support handles its own events, whose outbox is the queue that survives a crash:
 *
 *   ticket changed --same transaction--> in the outbox --orders has answered--> handled
 *   in the outbox --orders is away, or answers too late--> waits, and is told again; the later events of the ticket wait behind it
 *
 * Told again, orders knows it by the event's id. The ticket itself waits for nothing.
 */
import type { Logger } from 'pino';
import { type Call, type Client, type EventEnvelope, on, type Subscriber } from '#kernel';
import type { orders } from '../orders/contract.ts';
import { support } from './contract.ts';

export interface OrderRecordParts {
  readonly orders: Client<typeof orders>;
  readonly log: Logger;
}

type TicketEvent = EventEnvelope<{ readonly ticketId: string; readonly orderId: string | null }>;
type Told = 'ticket_opened' | 'ticket_answered' | 'ticket_closed';

export function orderRecord(parts: OrderRecordParts): Subscriber {
  /** The call stands in `load`, outside the transaction, of which nothing but the inbox row is left to do. */
  const reporting = (event: Told, what: string) => ({ load: async (ticketEvent: TicketEvent, call: Call) => report(parts, ticketEvent, event, what, call), apply: async () => undefined });
  return {
    name: 'order-record',
    handlers: [
      on(support.events.ticketOpened, reporting('ticket_opened', 'the customer asked for help')),
      on(support.events.ticketAnswered, reporting('ticket_answered', 'the shop answered')),
      on(support.events.ticketClosed, {
        load: async (ticketEvent, call) => report(parts, ticketEvent, 'ticket_closed', ticketEvent.data.by === 'customer' ? 'closed by the customer' : 'closed by the shop', call),
        apply: async () => undefined,
      }),
    ],
  };
}

async function report({ orders: client, log }: OrderRecordParts, { id, occurredAt, data }: TicketEvent, event: Told, what: string, call: Call): Promise<void> {
  const { orderId, ticketId } = data;
  if (orderId === null) return;
  const { withoutOrder } = await client.recordFacts({ facts: [{ factId: id, orderId, at: occurredAt, event, detail: `Ticket ${shortNumber(ticketId)}: ${what}` }] }, call);
  if (withoutOrder.length > 0) log.warn({ ticketId, orderId }, 'the order that a ticket is about does not exist; nothing is put on its record');
}

/** What customers call a ticket: the end of its id, which is random, where the beginning is only the time. */
function shortNumber(ticketId: string): string {
  return ticketId.slice(-8).toUpperCase();
}
