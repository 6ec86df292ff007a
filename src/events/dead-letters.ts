/**
 * Events that a subscriber could not handle after the last try (parking.ts), for those who look after the shop. Any process may
 * ask and redrive: the row's state decides, and the publisher's owner finds what is due again at its next poll.
 */
import type { Sql } from '../database/database.ts';
import type { EventEnvelope } from '../contract/types.ts';

export interface DeadLetter {
  readonly subscriber: string;
  readonly event: EventEnvelope;
  readonly attempts: number;
  readonly error: string | null;
  /** RFC 3339: when it failed for the first time. */
  readonly parkedAt: string;
}

/** What orders dead letters: the event's id, then the subscriber. */
export interface Place {
  readonly eventId: string;
  readonly subscriber: string;
}

export interface DeadLetterQuery {
  readonly subscriber?: string | undefined;
  readonly after?: Place | undefined;
  readonly limit: number;
}

/** Oldest event first. @param outbox schema of the publisher's outbox */
export async function deadLetters(db: Sql, outbox: string, { subscriber, after, limit }: DeadLetterQuery): Promise<DeadLetter[]> {
  const rows = await db.sql<{ subscriber: string; envelope: EventEnvelope; attempts: number; last_error: string | null; parked_at: Date }>(
    `select subscriber, envelope, attempts, last_error, parked_at from ${outbox}.event_delivery
     where state = 'dead' and ($1::text is null or subscriber = $1) and ($2::uuid is null or (event_id, subscriber collate "C") > ($2, $3))
     order by event_id, subscriber collate "C" limit $4`,
    [subscriber ?? null, after?.eventId ?? null, after?.subscriber ?? null, limit],
  );
  return rows.map((row) => ({ subscriber: row.subscriber, event: row.envelope, attempts: row.attempts, error: row.last_error, parkedAt: row.parked_at.toISOString() }));
}

/** As `deadLetters` orders them, across outboxes. */
export function byPlace(a: DeadLetter, b: DeadLetter): number {
  if (a.event.id !== b.event.id) return a.event.id < b.event.id ? -1 : 1;
  return a.subscriber < b.subscriber ? -1 : 1;
}

export interface Redriving {
  /** All dead letters unless named. */
  readonly eventIds?: readonly string[] | undefined;
  readonly subscriber?: string | undefined;
}

/** Gives dead letters another full round of tries. Of two that redrive the same one at once, one does. @returns the events' ids */
export async function redrive(db: Sql, outbox: string, { eventIds, subscriber }: Redriving = {}): Promise<string[]> {
  const rows = await db.sql<{ event_id: string }>(
    `update ${outbox}.event_delivery set state = 'waiting', attempts = 0, next_at = now(), parked_at = now()
     where state = 'dead' and ($1::uuid[] is null or event_id = any($1)) and ($2::text is null or subscriber = $2) returning event_id`,
    [eventIds ?? null, subscriber ?? null],
  );
  return rows.map((row) => row.event_id);
}
