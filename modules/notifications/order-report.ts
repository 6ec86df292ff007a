/**
 * Puts what customers were told on the records of their orders. Orders cannot hear of messages: notifications depends on orders. So it is
 * told, by an idempotent command, from a queue that is written with the message:
 *
 *   (none) --a message about an order is recorded, same transaction--> waits for its message, or has ended where the message is kept
 *   waits --the message is sent or given up, same statement--> has ended
 *   has ended --orders has answered--> (gone)
 *   has ended --orders is away, answers too late, or the process dies--> has ended, and is told again at the next look
 *
 * Told again, orders knows it by the message's id. No message waits for orders.
 *
 * An event per message that notifications handles itself would need no table, but a row in the outbox and one in the inbox, both kept for
 * a week, and a transaction of orders for each; here up to 500 messages share a call and a delete.
 */
import { defineEntity, p } from '@mikro-orm/core';
import type { Logger } from 'pino';
import type { Call, Client, Database, Task } from '#kernel';
import type { orders } from '../orders/contract.ts';

export const OrderReportEntity = defineEntity({
  name: 'OrderReport',
  tableName: 'order_report',
  properties: {
    id: p.uuid().primary(),
    orderId: p.uuid(),
    topic: p.text(),
    outcome: p.enum(['sent', 'failed'] as const).nullable(),
    endedAt: p.datetime().columnType('timestamptz').nullable(),
  },
  indexes: [{ name: 'order_report_ended_at_index', properties: ['endedAt'], where: 'outcome is not null' }],
  checks: [{ name: 'order_report_ended_at_check', expression: '(ended_at is not null) = (outcome is not null)' }],
});

export interface OrderReportParts {
  readonly db: Database;
  readonly orders: Client<typeof orders>;
  readonly log: Logger;
}

interface Ended {
  readonly id: string;
  readonly order_id: string;
  readonly topic: string;
  readonly outcome: 'sent' | 'failed';
  readonly ended_at: Date;
}

const EVERY_MS = 1_000;
const MOST = 500;
/** What is begun should end within the time of the task. */
const LEAST_MS = 20_000;

/** Tells orders, once a second, of all that has ended. */
export function orderReports(parts: OrderReportParts): Task {
  return {
    name: 'report-to-orders',
    everyMs: EVERY_MS,
    async run(call) {
      while (call.remainingMs > LEAST_MS && (await reportSome(parts, call)));
    },
  };
}

/** @returns whether there may be more to report at once */
async function reportSome({ db, orders: client, log }: OrderReportParts, call: Call): Promise<boolean> {
  const statements = db.for(call);
  const ended = await statements.sql<Ended>('select id, order_id, topic, outcome, ended_at from order_report where outcome is not null order by ended_at limit $1', [MOST]);
  if (ended.length === 0) return false;
  const { withoutOrder } = await client.recordFacts({ facts: ended.map(factOf) }, call);
  if (withoutOrder.length > 0) log.warn({ notificationIds: withoutOrder }, 'messages tell of orders that do not exist; nothing is put on record');
  await statements.sql('delete from order_report where id = any($1::uuid[])', [ended.map(({ id }) => id)]);
  return ended.length === MOST;
}

function factOf({ id, order_id, topic, outcome, ended_at }: Ended) {
  return { factId: id, orderId: order_id, at: ended_at.toISOString(), event: outcome === 'sent' ? 'message_sent' : 'message_failed', detail: topic } as const;
}
