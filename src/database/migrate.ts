/**
 * Forward-only SQL migrations: plain files, run once each, in order, in one transaction each. Of one file:
 *
 *   absent --all of it committed--> applied
 *   absent --fails, is killed--> absent: nothing of it was kept
 *
 * or, of one whose single statement can run in no transaction (`create index concurrently`):
 *
 *   absent --said first--> begun --done--> applied
 *   begun --fails, is killed--> begun: half applied. No start gets past it until somebody has looked.
 *
 * Processes of the version before go on running meanwhile. A migration that waits for a lock makes everybody wait who
 * comes after it, so it waits for half a second at a time, and lets them pass in between.
 */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { StartError } from '../settings/start-error.ts';
import { type MigrationFile, runsOutside } from './migration-files.ts';

export interface MigrationRun {
  readonly schema: string;
  /** Schema whose table `migration` remembers what has run. */
  readonly recordedIn: string;
  readonly files: readonly MigrationFile[];
  /** How long locks are waited for in all; default: a minute. */
  readonly patienceMs?: number;
}

/** Less than the second after which PostgreSQL looks for deadlocks: then it is the migration that gives way. */
const LOCK_MS = 500;
const PAUSE_MS = 500;
const PATIENCE_MS = 60_000;
const LOCK_NOT_AVAILABLE = '55P03';
const DEADLOCK = '40P01';

/** @throws StartError when this code cannot work with what the database has seen, and when a migration fails */
export async function migrate(client: pg.Client, run: MigrationRun): Promise<void> {
  const done = await recorded(client, run);
  refuseUnknown(run, done);
  refuseChanged(run, done);
  refuseLate(run, done);
  await refuseHalfApplied(client, run);
  for (const file of run.files) if (!done.has(file.name)) await (runsOutside(file) ? applyOutside(client, run, file) : apply(client, run, file));
}

async function recorded(client: pg.Client, run: MigrationRun): Promise<Map<string, string>> {
  await client.query(`create table if not exists ${run.recordedIn}.migration (
    schema text not null, name text not null, checksum text not null, applied_at timestamptz not null default now(), primary key (schema, name));
    create table if not exists ${run.recordedIn}.migration_begun (
    schema text not null, name text not null, begun_at timestamptz not null default now(), primary key (schema, name))`);
  const { rows } = await client.query<{ name: string; checksum: string }>(`select name, checksum from ${run.recordedIn}.migration where schema = $1`, [run.schema]);
  return new Map(rows.map((row) => [row.name, row.checksum]));
}

async function apply(client: pg.Client, run: MigrationRun, file: MigrationFile): Promise<void> {
  await patiently(client, run, file, async () => {
    await client.query(`begin; set local lock_timeout = ${LOCK_MS}; set local search_path = ${run.schema}`);
    await client.query(file.sql);
    await record(client, run, file);
    await client.query('commit');
  });
}

/** Its locks hold up nobody, and cut short it would leave something behind: it waits as long as it takes. */
async function applyOutside(client: pg.Client, run: MigrationRun, file: MigrationFile): Promise<void> {
  await client.query(`insert into ${run.recordedIn}.migration_begun (schema, name) values ($1, $2)`, [run.schema, file.name]);
  try {
    await client.query(`set search_path = ${run.schema}`);
    await client.query(file.sql);
  } catch (error) {
    throw new StartError(`the migration ${run.schema}/${file.name} failed outside a transaction: ${(error as Error).message}`, howToMend(run, file.name));
  } finally {
    await client.query('reset search_path').catch(() => undefined);
  }
  await client.query('begin');
  await client.query(`delete from ${run.recordedIn}.migration_begun where schema = $1 and name = $2`, [run.schema, file.name]);
  await record(client, run, file);
  await client.query('commit');
}

async function record(client: pg.Client, run: MigrationRun, file: MigrationFile): Promise<void> {
  await client.query(`insert into ${run.recordedIn}.migration (schema, name, checksum) values ($1, $2, $3)`, [run.schema, file.name, checksum(file)]);
}

async function patiently(client: pg.Client, run: MigrationRun, file: MigrationFile, work: () => Promise<void>): Promise<void> {
  const { patienceMs = PATIENCE_MS } = run;
  for (const givenUpAt = Date.now() + patienceMs; ; ) {
    try {
      return await work();
    } catch (error) {
      // A connection that is lost has nothing left to take back.
      await client.query('rollback').catch(() => undefined);
      const { code, message } = error as { code?: string; message: string };
      if (code !== LOCK_NOT_AVAILABLE && code !== DEADLOCK) throw new StartError(`the migration ${run.schema}/${file.name} failed: ${message}`, 'It is applied as a whole or not at all: mend its cause and start again.');
      if (Date.now() > givenUpAt) throw await lockedOut(client, run, file, patienceMs);
      await sleep(PAUSE_MS * (0.5 + Math.random()));
    }
  }
}

/** What is open the longest is what most likely stands in the way. */
async function lockedOut(client: pg.Client, run: MigrationRun, file: MigrationFile, patienceMs: number): Promise<StartError> {
  const { rows } = await client.query<{ pid: number; name: string; seconds: number }>(
    `select pid, application_name as name, extract(epoch from now() - xact_start)::int as seconds from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null order by xact_start limit 3`,
  );
  const open = rows.map(({ pid, name, seconds }) => `${pid} (${name || 'without a name'}, ${seconds} s)`).join(', ');
  return new StartError(
    `the migration ${run.schema}/${file.name} did not get its locks within ${patienceMs / 1_000} s`,
    `Nothing of it was kept. Transactions that are open the longest, by process id: ${open || 'none any more'}. Let them end, and start again.`,
  );
}

function refuseUnknown(run: MigrationRun, done: ReadonlyMap<string, string>): void {
  const known = new Set(run.files.map((file) => file.name));
  const unknown = [...done.keys()].filter((name) => !known.has(name)).sort();
  if (unknown.length === 0) return;
  throw new StartError(
    `the schema ${run.schema} was migrated by a newer version (${unknown.join(', ')})`,
    'Start that version or a later one; migrations only go forward.',
  );
}

function refuseChanged(run: MigrationRun, done: ReadonlyMap<string, string>): void {
  const file = run.files.find((each) => (done.get(each.name) ?? checksum(each)) !== checksum(each));
  if (!file) return;
  throw new StartError(`the migration ${run.schema}/${file.name} has changed since it was applied`, 'Restore the file and put the change into a new migration.');
}

/** Another database may have run them in the other order, and nobody has tried what comes of that. */
function refuseLate(run: MigrationRun, done: ReadonlyMap<string, string>): void {
  const last = [...done.keys()].sort().at(-1);
  const late = last && run.files.find(({ name }) => !done.has(name) && name < last);
  if (!late) return;
  throw new StartError(`the migration ${run.schema}/${late.name} comes too late: ${last} was applied before it`, 'Give it a number above that one; migrations only go forward.');
}

async function refuseHalfApplied(client: pg.Client, run: MigrationRun): Promise<void> {
  const { rows } = await client.query<{ name: string; at: Date }>(`select name, begun_at as at from ${run.recordedIn}.migration_begun where schema = $1 order by name`, [run.schema]);
  if (!rows[0]) return;
  const { name, at } = rows[0];
  throw new StartError(`the migration ${run.schema}/${name} was begun at ${at.toISOString()} and has not come to its end: it may be half applied`, howToMend(run, name));
}

function howToMend(run: MigrationRun, name: string): string {
  const forget = `DELETE FROM ${run.recordedIn}.migration_begun WHERE schema = '${run.schema}' AND name = '${name}';`;
  return `Take back what is there of it (an index: DROP INDEX CONCURRENTLY IF EXISTS …), then run: ${forget} and start again.`;
}

/** By which a file that was applied is known again. */
export function checksum(file: MigrationFile): string {
  return createHash('sha256').update(file.sql).digest('hex');
}
