/** Records what customers are told and shows it to them. */
import { type Database, decodeCursor, encodeCursor, type Operations, type Statements, type Transaction, uuidv7 } from '#kernel';
import type { Carriers } from './carrier.ts';
import type { notifications } from './contract.ts';
import type { Wording } from './messages.ts';
import { type Channel, NotificationEntity, type NotificationRow } from './notification.ts';

/** Who is told. */
export interface Customer {
  readonly id: string;
  readonly email: string;
  readonly phone: string | null;
}

/** An event that is told of; its order learns of each message. */
export interface Fact {
  readonly id: string;
  readonly data: { readonly orderId: string | null };
}

export interface Notifications {
  readonly operations: Operations<typeof notifications>;
  /**
   * Records an e-mail, and a text when there is a number to send it to. A second call for the event changes
   * nothing; without a customer there is nobody to tell.
   */
  readonly tell: (tx: Transaction, event: Fact, customer: Customer | null, wording: Wording) => Promise<void>;
}

export interface NotificationsInit {
  readonly db: Database;
  readonly carriers: Carriers;
  /** Called after a commit that left something to hand over. */
  readonly wake: () => void;
}

export function createNotifications(init: NotificationsInit): Notifications {
  return {
    operations: { listNotifications: (input, call) => list(init.db.for(call), input) },
    tell: (tx, event, customer, wording) => tell(init, tx, event, customer, wording),
  };
}

interface Draft {
  readonly channel: Channel;
  readonly recipient: string;
  readonly subject: string;
  readonly body: string;
  /** The message in a line that is no part of it, for the order's record. */
  readonly topic: string;
}

function draftsFor(customer: Customer, wording: Wording): Draft[] {
  const email: Draft = { channel: 'email', recipient: customer.email, subject: wording.subject, body: wording.body, topic: `e-mail: ${wording.subject}` };
  if (customer.phone === null) return [email];
  return [email, { channel: 'sms', recipient: customer.phone, subject: '', body: wording.text, topic: `text message: ${wording.subject}` }];
}

async function tell(init: NotificationsInit, tx: Transaction, event: Fact, customer: Customer | null, wording: Wording): Promise<void> {
  if (!customer) return;
  const drafts = draftsFor(customer, wording);
  for (const draft of drafts) record(tx, event, customer.id, draft, init.carriers[draft.channel] === 'kept');
  if (drafts.some((draft) => init.carriers[draft.channel] !== 'kept')) tx.afterCommit(init.wake);
}

/** The message, and what its order is to be told of it once it has ended: a kept one has as soon as it is recorded. */
const RECORD = `with message as (
    insert into notification (id, event_id, channel, user_id, recipient, subject, body, status, traceparent, tracestate, sent_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, case when $8 = 'sent' then now() end)
    on conflict (event_id, channel) do nothing returning id, sent_at
  ) insert into order_report (id, order_id, topic, outcome, ended_at)
    select id, $11, $12, case when sent_at is not null then 'sent' end, sent_at from message where $11::uuid is not null`;

function record(tx: Transaction, { id, data }: Fact, userId: string, draft: Draft, kept: boolean): void {
  const { channel, recipient, subject, body, topic } = draft;
  tx.later(RECORD, [uuidv7(), id, channel, userId, recipient, subject, body, kept ? 'sent' : 'queued', tx.call.traceparent, tx.call.tracestate ?? null, data.orderId, topic]);
}

async function list(db: Statements, input: { userId: string; limit: number; cursor?: string | undefined }) {
  const after = decodeCursor(input.cursor, ['uuid'])?.[0] as string | undefined;
  const rows = await db
    .em()
    .find(NotificationEntity, { userId: input.userId, ...(after && { id: { $lt: after } }) }, { orderBy: { id: 'desc' }, limit: input.limit + 1 });
  const page = rows.slice(0, input.limit);
  return { items: page.map(shown), nextCursor: rows.length > input.limit ? encodeCursor([page.at(-1)!.id]) : null };
}

function shown(row: NotificationRow) {
  const { id, channel, subject, body, status, createdAt } = row;
  return { id, channel, subject, body, status, createdAt: createdAt.toISOString() };
}
