/** The kernel's own tables in each module's outbox schema, and the pg-boss queue that is the outbox. */
import type pg from 'pg';
import { getConstructionPlans } from 'pg-boss';
import pgBoss from 'pg-boss/package.json' with { type: 'json' };
import { StartError } from '../settings/start-error.ts';
import type { MigrationFile } from './migration-files.ts';

/** Name of the pg-boss queue that holds a module's events. */
export const EVENTS_QUEUE = 'events';

/** Version of pg-boss's tables that the installed pg-boss works with. */
export const OUTBOX_VERSION: number = pgBoss.pgboss.schema;

/** Name of the index that the relay reads in order. */
export const PENDING_INDEX = 'events_pending';

/** How long an event is kept after all its subscribers have handled it. */
export const RETENTION_SECONDS = 7 * 24 * 3600;

/**
 * Installs pg-boss and a queue with a table of its own: its five indexes instead of the twelve of the shared
 * table halve the cost of an insert. The partial index on (id) is what the relay reads in order.
 * @throws StartError when the schema is of another version of pg-boss
 */
export async function outboxQueue(client: pg.Client, schema: string): Promise<void> {
  const { rows } = await client.query<{ present: boolean }>('select to_regclass($1) is not null as present', [`${schema}.version`]);
  if (rows[0]!.present) await requireVersion(client, schema);
  else await client.query(getConstructionPlans(schema, { createSchema: false }));
  const options = JSON.stringify({ policy: 'standard', partition: true, deleteAfterSeconds: RETENTION_SECONDS, retentionSeconds: 365 * 24 * 3600 });
  await client.query(`select ${schema}.create_queue($1, $2::jsonb)`, [EVENTS_QUEUE, options]);
  await pendingIndex(client, schema);
}

/** Looks first: to find that there is one already, `create index if not exists` waits for all who write, and makes all wait who want to. */
async function pendingIndex(client: pg.Client, schema: string): Promise<void> {
  const { rows } = await client.query<{ name: string; indexed: boolean }>(
    `select table_name as name, to_regclass($2) is not null as indexed from ${schema}.queue where name = $1`,
    [EVENTS_QUEUE, `${schema}.${PENDING_INDEX}`],
  );
  if (!rows[0]!.indexed) await client.query(`create index if not exists ${PENDING_INDEX} on ${schema}.${rows[0]!.name} (id) where state < 'active'`);
}

/** Processes of the version before would run on with a pg-boss that does not know the new tables: nothing is brought forward by itself. */
async function requireVersion(client: pg.Client, schema: string): Promise<void> {
  const { rows } = await client.query<{ version: number }>(`select version from ${schema}.version`);
  const { version } = rows[0]!;
  if (version === OUTBOX_VERSION) return;
  const state = `${schema} is of version ${version} of pg-boss's tables, and the pg-boss that is installed (${pgBoss.version}) works with version ${OUTBOX_VERSION}`;
  if (version > OUTBOX_VERSION) throw new StartError(state, 'Start the version of the shop that migrated it, or a later one.');
  throw new StartError(state, `Stop all processes of the shop, run in the database, as the owner of ${schema}, what getMigrationPlans('${schema}', ${version}) of pg-boss returns, and start again.`);
}

const first = `
create table inbox (
  subscriber text not null,
  event_id uuid not null,
  handled_at timestamptz not null default now(),
  primary key (subscriber, event_id)
);

create table event_delivery (
  subscriber text not null,
  event_id uuid not null,
  aggregate_id text not null,
  envelope jsonb not null,
  state text not null check (state in ('waiting', 'dead')),
  attempts int not null,
  next_at timestamptz,
  last_error text,
  parked_at timestamptz not null default now(),
  primary key (subscriber, event_id)
);
create index event_delivery_due on event_delivery (next_at) where next_at is not null;
create index event_delivery_lane on event_delivery (subscriber, aggregate_id, event_id) where state = 'waiting';

create table saga (
  name text not null,
  id uuid not null,
  status text not null check (status in ('running', 'waiting', 'compensating', 'finished', 'compensated')),
  step text not null,
  trail text[] not null,
  data jsonb not null,
  mailbox jsonb not null default '{}',
  reason text,
  attempts int not null default 0,
  failing_since timestamptz,
  last_error text,
  wake_at timestamptz,
  version int not null default 1,
  traceparent text not null,
  request_id text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (name, id)
);
create index saga_due on saga (name, wake_at) where wake_at is not null;

create table note (
  key text primary key,
  value jsonb not null,
  created_at timestamptz not null default now()
);
`;

const tracestate = 'alter table saga add column tracestate text;';

export const kernelTables: readonly MigrationFile[] = [
  { name: '0001-kernel.sql', sql: first },
  { name: '0002-saga-tracestate.sql', sql: tracestate },
];
