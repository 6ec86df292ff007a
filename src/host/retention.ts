/** Forgets what the kernel kept for a module once nothing can refer to it any more. */
import type { Database } from '../database/database.ts';
import type { Outbox } from '../events/outbox.ts';
import { forgetReplays } from '../events/replay.ts';
import type { Task } from '../module.ts';

/** The statements scan their tables; an index would cost every event and every step of a saga. */
const EVERY_MS = 6 * 3_600_000;
const FIRST_AFTER_MS = 60_000;

/**
 * Inbox rows outlive every redelivery: events are completed or parked within minutes and kept for 7 days, and a
 * month leaves room for replays. Sagas that have ended are kept for a quarter, for those who ask what happened.
 */
export function retention(db: Database, outbox: Outbox): Task {
  return {
    name: 'retention',
    everyMs: EVERY_MS,
    firstAfterMs: FIRST_AFTER_MS,
    async run() {
      await db.sql(`delete from ${outbox.schema}.inbox where handled_at < now() - interval '30 days'`);
      await db.sql(`delete from ${outbox.schema}.saga where status in ('finished', 'compensated') and updated_at < now() - interval '90 days'`);
      await forgetReplays(db, outbox.schema);
      await outbox.maintain();
    },
  };
}
