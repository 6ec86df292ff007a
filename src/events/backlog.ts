/** What publishers still owe their subscribers, read from where it stands: outboxes, parked events and inboxes. */
import type { Sql } from '../database/database.ts';
import { MOST_IN_FLIGHT } from './relay.ts';

/** One publisher's events on their way to one subscriber. */
export interface Owed {
  /** Not handled yet, those that are being retried included. */
  readonly backlog: number;
  /** Failed, or held by one that failed; each is tried again. */
  readonly retrying: number;
  readonly dead: number;
  /** RFC 3339: when the oldest event happened that has not been tried yet; null without one. */
  readonly oldestUntried: string | null;
  /** The same of those that are being retried. */
  readonly oldestRetried: string | null;
}

/** What the publisher's database tells of it. */
export interface OwedByPublisher {
  readonly retrying: number;
  readonly dead: number;
  readonly oldestRetried: string | null;
  /** Events in the outbox that have not failed. */
  readonly waiting: number;
  /** The oldest of them, oldest first. */
  readonly oldest: readonly Untried[];
}

export interface Untried {
  readonly id: string;
  /** RFC 3339: when it happened. */
  readonly at: string;
}

/** The publisher's events on their way to one subscriber. */
interface Way {
  readonly from: Sql;
  readonly outbox: string;
  readonly subscriber: string;
  /** Events of the publisher that the subscriber handles. */
  readonly types: readonly string[];
}

/**
 * An event waits in the outbox until all its subscribers have handled it, so one that is in this one's inbox counts no more. Only what is
 * in flight can be in both, and that is the oldest. The two may lie in different databases: each is asked for its own, and this puts
 * together what they say. An event that is handled between the two questions counts as handled.
 * @param handled those of the oldest that are in the subscriber's inbox
 */
export function owed({ retrying, dead, oldestRetried, waiting, oldest }: OwedByPublisher, handled: ReadonlySet<string>): Owed {
  const open = oldest.find(({ id }) => !handled.has(id));
  return { backlog: retrying + waiting - handled.size, retrying, dead, oldestUntried: open?.at ?? null, oldestRetried };
}

/** @param outbox schema of the publisher's outbox */
export async function owedBy(from: Sql, outbox: string, subscriber: string, types: readonly string[]): Promise<OwedByPublisher> {
  const way = { from, outbox, subscriber, types };
  const [parked, oldest] = await Promise.all([parkedEvents(way), oldestUntried(way)]);
  const waiting = oldest.length < MOST_IN_FLIGHT ? oldest.length : await countUntried(way);
  return { retrying: parked.retrying, dead: parked.dead, oldestRetried: parked.oldest, waiting, oldest };
}

/** Those of the events that the subscriber has handled. @param inbox schema of its inbox */
export async function handledOf(to: Sql, inbox: string, subscriber: string, eventIds: readonly string[]): Promise<string[]> {
  if (eventIds.length === 0) return [];
  const rows = await to.sql<{ event_id: string }>(`select event_id from ${inbox}.inbox where subscriber = $1 and event_id = any($2::uuid[])`, [subscriber, eventIds]);
  return rows.map((row) => row.event_id);
}

async function parkedEvents({ from, outbox, subscriber, types }: Way): Promise<{ retrying: number; dead: number; oldest: string | null }> {
  const [row] = await from.sql<{ retrying: number; dead: number; oldest: string | null }>(
    `select count(*) filter (where state = 'waiting') as retrying, count(*) filter (where state = 'dead') as dead,
       min(envelope->>'occurredAt') filter (where state = 'waiting') as oldest
     from ${outbox}.event_delivery where subscriber = $1 and envelope->>'type' = any($2)`,
    [subscriber, types],
  );
  return row!;
}

/** Not by the queue's name, of which there is one: that would be looked up in the primary key, among all that is kept. */
function untried(outbox: string): string {
  return `from ${outbox}.job where state < 'active' and data->>'type' = any($2)
    and not exists (select from ${outbox}.event_delivery where subscriber = $1 and event_id = job.id)`;
}

async function oldestUntried({ from, outbox, subscriber, types }: Way): Promise<Untried[]> {
  return from.sql<Untried>(`select id, data->>'occurredAt' as at ${untried(outbox)} order by id limit $3`, [subscriber, types, MOST_IN_FLIGHT]);
}

async function countUntried({ from, outbox, subscriber, types }: Way): Promise<number> {
  const [row] = await from.sql<{ n: number }>(`select count(*) as n ${untried(outbox)}`, [subscriber, types]);
  return row!.n;
}
