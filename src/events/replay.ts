/**
 * Hands events that are done to one subscriber again, e.g. to one that was added after they were published. The subscriber's inbox
 * decides which of them are new to it (invariant I5).
 *
 *   asked for (any process writes a note) --the publisher's owner finds it--> running
 *   running --a chunk is handled or parked--> running, its place recorded --nothing is left--> finished
 *
 * Events go in the order of their ids through the subscriber's lanes, so no event that comes meanwhile overtakes an older one of its
 * aggregate that is in hand. A crash repeats the chunk that was in hand, which the inbox makes harmless. What the subscriber fails to
 * handle is parked as any other event; what is parked already, dead letters included, is left to the retries and to `redrive`.
 */
import type { Call } from '../calls/call.ts';
import type { EventEnvelope } from '../contract/types.ts';
import type { Database, Sql } from '../database/database.ts';
import { EVENTS_QUEUE, RETENTION_SECONDS } from '../database/kernel-tables.ts';
import type { Task } from '../module.ts';
import { uuidv7 } from '../uuid.ts';
import type { Relay } from './relay.ts';

export interface ReplayRequest {
  readonly subscriber: string;
  readonly type: string;
  /** RFC 3339 with milliseconds: events that happened earlier are left out. */
  readonly from: string;
}

/** As it stands in the note. */
interface Progress extends ReplayRequest {
  /** Events that have been handed over so far. */
  readonly replayed: number;
  /** Id of the last of them. */
  readonly after: string;
  /** What is published later reaches the subscriber by itself. */
  readonly until: string;
  readonly finishedAt?: string;
}

export interface Replay extends ReplayRequest {
  readonly id: string;
  readonly replayed: number;
  readonly status: 'running' | 'finished';
  readonly requestedAt: string;
  /** RFC 3339: what was handled by all subscribers before it is not there to be replayed. */
  readonly keptSince: string;
  readonly finishedAt: string | null;
}

const KEY = 'replay:';
const BEFORE_ALL = '00000000-0000-0000-0000-000000000000';
const CHUNK = 100;
/** A chunk that is begun should end within the time of the task. */
const LEAST_MS = 30_000;

interface Note {
  key: string;
  value: Progress;
  created_at: Date;
}

/** Asks for a replay of what the outbox still has. */
export async function requestReplay(db: Sql, outbox: string, { subscriber, type, from }: ReplayRequest): Promise<Replay> {
  const id = uuidv7();
  const progress: Progress = { subscriber, type, from, replayed: 0, after: BEFORE_ALL, until: id };
  const [note] = await db.sql<Note>(`insert into ${outbox}.note (key, value) values ($1, $2) returning key, value, created_at`, [`${KEY}${id}`, JSON.stringify(progress)]);
  return replayOf(note!);
}

export async function findReplay(db: Sql, outbox: string, id: string): Promise<Replay | undefined> {
  const [note] = await db.sql<Note>(`select key, value, created_at from ${outbox}.note where key = $1`, [`${KEY}${id.toLowerCase()}`]);
  return note && replayOf(note);
}

function replayOf({ key, value, created_at: at }: Note): Replay {
  const { subscriber, type, from, replayed, finishedAt } = value;
  const status = finishedAt === undefined ? 'running' : 'finished';
  return { id: key.slice(KEY.length), subscriber, type, from, replayed, status, requestedAt: at.toISOString(), keptSince: new Date(at.getTime() - RETENTION_SECONDS * 1_000).toISOString(), finishedAt: finishedAt ?? null };
}

/** Carries out what was asked for, one replay after the other. They are rare, and nobody waits for one to begin: half as many looks as at the outbox. */
export function replays(db: Database, outbox: string, relay: Relay, pollMs: number): Task {
  return {
    name: 'replays',
    everyMs: 2 * pollMs,
    async run(call) {
      while (call.remainingMs > LEAST_MS && (await replayChunk(db.for(call), outbox, relay, call)));
    },
  };
}

/** @returns whether there may be more to do at once */
async function replayChunk(db: Sql, outbox: string, relay: Relay, call: Call): Promise<boolean> {
  const [note] = await db.sql<Note>(`select key, value, created_at from ${outbox}.note where key like '${KEY}%' and not value ? 'finishedAt' order by key limit 1`);
  if (!note) return false;
  const events = await doneEvents(db, outbox, note.value);
  if (!(await relay.redeliver(note.value.subscriber, events))) return false;
  call.throwIfOver();
  const last = events.at(-1);
  const change = last ? { after: last.id, replayed: note.value.replayed + events.length } : { finishedAt: new Date().toISOString() };
  await db.sql(`update ${outbox}.note set value = value || $2 where key = $1`, [note.key, JSON.stringify(change)]);
  return true;
}

async function doneEvents(db: Sql, outbox: string, { subscriber, type, from, after, until }: Progress): Promise<EventEnvelope[]> {
  const rows = await db.sql<{ data: EventEnvelope }>(
    `select data from ${outbox}.job where name = '${EVENTS_QUEUE}' and state = 'completed' and id > $3 and id < $4 and data->>'type' = $2 and data->>'occurredAt' >= $5
       and not exists (select from ${outbox}.event_delivery where subscriber = $1 and event_id = job.id)
     order by id limit ${CHUNK}`,
    [subscriber, type, after, until, from],
  );
  return rows.map((row) => row.data);
}

/** Forgets what was replayed, once nobody asks any more. */
export async function forgetReplays(db: Sql, outbox: string): Promise<void> {
  await db.sql(`delete from ${outbox}.note where key like '${KEY}%' and value ? 'finishedAt' and created_at < now() - interval '30 days'`);
}
