/** Migrations go forward, whole or not at all, past processes that run; what a start cannot work with it refuses, and says what to do. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import t from 'tap';
import { emptyDatabase, TEST_ROLE_PREFIX, type TestDatabase } from '../testing/database.ts';
import type { TestScope } from '../testing/testing.ts';
import { migrate } from './migrate.ts';
import { type MigrationFile, readMigrations } from './migration-files.ts';
import { provision } from './provision.ts';

const initial: MigrationFile = { name: '0001-initial.sql', sql: 'create table book (id uuid primary key); create table shelf (id uuid primary key)' };
const pages: MigrationFile = { name: '0002-pages.sql', sql: 'alter table book add column pages int' };
const index: MigrationFile = { name: '0002-index.sql', sql: '-- outside a transaction\ncreate index concurrently book_pages on book (id)' };

async function start(database: TestDatabase, ...files: MigrationFile[]): Promise<void> {
  await provision({ adminUrl: database.adminUrl, prefix: TEST_ROLE_PREFIX, modules: [{ name: 'ping', extensions: [], files }] });
}

async function fresh(t: TestScope, ...files: MigrationFile[]): Promise<TestDatabase> {
  const database = await emptyDatabase();
  t.teardown(async () => database.drop());
  if (files.length > 0) await start(database, ...files);
  return database;
}

async function connected(t: TestScope, database: TestDatabase): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: database.adminUrl, application_name: 'a report' });
  client.on('error', () => undefined);
  await client.connect();
  t.teardown(async () => client.end());
  return client;
}

async function columns(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ name: string }>(`select column_name as name from information_schema.columns where table_schema = 'ping' and table_name = 'book' order by 1`);
  return rows.map(({ name }) => name).join();
}

async function until(check: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 10_000; !(await check()); ) if (Date.now() > deadline) throw new Error('waited 10 s in vain');
}

const refusal = (message: RegExp, remedy: RegExp) => ({ name: 'StartError', message, remedy });

t.test('what the database has seen decides whether a start works with it', async (t) => {
  const database = await fresh(t, initial, pages);
  const client = await connected(t, database);

  await start(database, initial, pages);
  await t.rejects(start(database, initial), refusal(/the schema ping was migrated by a newer version \(0002-pages\.sql\)/, /Start that version or a later one/));
  const changed = { ...pages, sql: `${pages.sql} not null` };
  await t.rejects(start(database, initial, changed), refusal(/ping\/0002-pages\.sql has changed since it was applied/, /Restore the file/));
  const late = { name: '0001-late.sql', sql: 'create table late (id int primary key)' };
  await t.rejects(start(database, initial, late, pages), refusal(/ping\/0001-late\.sql comes too late: 0002-pages\.sql was applied before it/, /Give it a number above/));
  t.equal(await columns(client), 'id,pages', 'a refusal changes nothing');

  await client.query(`update ping_outbox.migration set checksum = 'x' where name = '0001-kernel.sql'`);
  await t.rejects(start(database, initial, pages), refusal(/ping_outbox\/0001-kernel\.sql has changed/, /Restore the file/));
});

t.test('tables of another version of pg-boss are refused', async (t) => {
  const database = await fresh(t, initial);
  const client = await connected(t, database);
  const { rows } = await client.query<{ version: number }>('select version from ping_outbox.version');
  const { version } = rows[0]!;
  await client.query('update ping_outbox.version set version = version + 1');
  await t.rejects(start(database, initial), refusal(new RegExp(`ping_outbox is of version ${version + 1} of pg-boss's tables`), /or a later one/));
  await client.query('update ping_outbox.version set version = version - 2');
  await t.rejects(start(database, initial), refusal(new RegExp(`works with version ${version}$`), new RegExp(`getMigrationPlans\\('ping_outbox', ${version - 1}\\)`)));
});

t.test('a migration that fails, or is killed, leaves nothing behind, and the next start does it', async (t) => {
  const database = await fresh(t, initial);
  const client = await connected(t, database);
  const broken = { name: '0002-pages.sql', sql: `${pages.sql}; alter table book add column pages int` };
  await t.rejects(start(database, initial, broken), refusal(/ping\/0002-pages\.sql failed: column "pages" of relation "book" already exists/, /as a whole or not at all/));
  t.equal(await columns(client), 'id');

  const slow = { name: '0002-pages.sql', sql: `${pages.sql}; select pg_sleep(60)` };
  const killed = start(database, initial, slow).then(() => 'done', () => 'failed');
  await until(async () => (await client.query(`select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(60)' and pid <> pg_backend_pid()`)).rowCount === 1);
  t.equal(await killed, 'failed');
  t.equal(await columns(client), 'id');
  await start(database, initial, pages);
  t.equal(await columns(client), 'id,pages');
});

t.test('one that runs outside a transaction and fails is half applied: no start gets past it before somebody has looked', async (t) => {
  const database = await fresh(t, initial);
  const client = await connected(t, database);
  const id = '01234567-89ab-7cde-8f01-23456789abcd';
  await client.query('insert into ping.book values ($1)', [id]);
  const failing = { ...index, sql: '-- outside a transaction\ncreate unique index concurrently book_pages on book ((1 / (substr(id::text, 1, 1)::int)))' };
  await t.rejects(start(database, initial, failing), refusal(/ping\/0002-index\.sql failed outside a transaction: division by zero/, /DROP INDEX CONCURRENTLY IF EXISTS/));
  for (const file of [failing, index]) {
    await t.rejects(start(database, initial, file), refusal(/ping\/0002-index\.sql was begun at \S+Z and has not come to its end/, /DELETE FROM ping_outbox\.migration_begun WHERE schema = 'ping' AND name = '0002-index\.sql';/));
  }
  await client.query('drop index concurrently if exists ping.book_pages');
  await client.query(`DELETE FROM ping_outbox.migration_begun WHERE schema = 'ping' AND name = '0002-index.sql';`);
  await start(database, initial, index);
  await start(database, initial, index);
  const { rows } = await client.query(`select indisvalid as valid from pg_index where indexrelid = 'ping.book_pages'::regclass`);
  t.same(rows, [{ valid: true }]);
});

t.test('processes that start together wait for each other, also for an index that is made concurrently', async (t) => {
  const database = await fresh(t, initial);
  const notes: string[] = [];
  const options = { adminUrl: database.adminUrl, prefix: TEST_ROLE_PREFIX, note: (line: string) => notes.push(line) };
  const slow = { ...index, sql: '-- outside a transaction\ncreate index concurrently book_pages on book ((ping.slowly(id)))' };
  const client = await connected(t, database);
  await client.query(`create function ping.slowly(uuid) returns uuid immutable language plpgsql as $$ begin perform pg_sleep(2); return $1; end $$; insert into ping.book values (gen_random_uuid())`);
  await client.query(`grant execute on function ping.slowly to public`);
  const modules = [{ name: 'ping', extensions: [], files: [initial, slow] }];
  await Promise.all([1, 2, 3].map(async () => provision({ ...options, modules })));
  t.same(new Set(notes), new Set(['Another process is preparing the database: waiting for it.']));
});

t.test('a migration that waits for a lock lets the others pass', async (t) => {
  const database = await fresh(t, initial);
  const [report, reader] = [await connected(t, database), await connected(t, database)];
  await report.query('begin; select * from ping.book');
  let isMigrated = false;
  const migrated = start(database, initial, pages).then(() => (isMigrated = true));
  let longest = 0;
  for (const end = Date.now() + 2_500; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 5))) {
    const began = performance.now();
    await reader.query('select * from ping.book');
    longest = Math.max(longest, performance.now() - began);
  }
  t.notOk(isMigrated);
  t.ok(longest < 1_500, `a reader waited ${longest.toFixed()} ms at the most`);
  await report.query('commit');
  await migrated;
  t.equal(await columns(reader), 'id,pages');
});

t.test('one that gets no lock at all gives up, and names what stands in its way', async (t) => {
  const database = await fresh(t, initial);
  const [report, migrator] = [await connected(t, database), await connected(t, database)];
  await report.query('begin; select * from ping.book');
  const run = { schema: 'ping', recordedIn: 'ping_outbox', files: [initial, pages], patienceMs: 500 };
  await t.rejects(migrate(migrator, run), refusal(/ping\/0002-pages\.sql did not get its locks within 0\.5 s/, /open the longest, by process id: \d+ \(a report, \d+ s\)/));
  await report.query('commit');
  await migrate(migrator, run);
});

t.test('a start on a schema that is up to date waits for nobody, and nobody for it', async (t) => {
  const database = await fresh(t, initial);
  const [writer, other] = [await connected(t, database), await connected(t, database)];
  const { rows } = await other.query<{ name: string }>(`select table_name as name from ping_outbox.queue where name = 'events'`);
  const write = `insert into ping_outbox.${rows[0]!.name} (name, data) values ('events', '{}')`;
  await writer.query(`begin; ${write}; lock table ping.book in row exclusive mode`);
  const began = performance.now();
  await Promise.all([start(database, initial), other.query(write)]);
  const took = performance.now() - began;
  t.ok(took < 5_000, `it took ${took.toFixed()} ms`);
  await writer.query('commit');
});

t.test('files are read in their order, and what could not be applied as a whole is refused', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'cleave-migrations-'));
  t.teardown(async () => rm(root, { recursive: true }));
  const read = async (files: Record<string, string>) => {
    await rm(join(root, 'ping'), { recursive: true, force: true });
    await mkdir(join(root, 'ping'));
    for (const [name, sql] of Object.entries(files)) await writeFile(join(root, 'ping', name), sql);
    return (await readMigrations(root, 'ping')).map(({ name }) => name);
  };
  t.same(await readMigrations(root, 'nothing'), []);
  t.same(await read({ '0002-b.sql': '', '0001-a.sql': '', 'notes.txt': '' }), ['0001-a.sql', '0002-b.sql']);
  await t.rejects(read({ '1-a.sql': '' }), refusal(/ping\/1-a\.sql is not named as one/, /NNNN-title\.sql/));
  await t.rejects(read({ '0001-a.sql': '', '0001-b.sql': '' }), refusal(/0001-a\.sql and ping\/0001-b\.sql have the same number/, /next free number/));
  for (const sql of ['select 1; commit; select 2', 'BEGIN; select 1', 'select 1;\n-- so far\n rollback', `select ';'; start transaction`]) {
    await t.rejects(read({ '0001-a.sql': sql }), refusal(/0001-a\.sql controls transactions/, /each file is one transaction/), sql);
  }
  const harmless = `-- commit;\n/* ; commit */ create function f() returns trigger language plpgsql as $$ begin; commit; end $$; select '; commit', ";begin"; comment on table x is 'it''s; end'`;
  t.same(await read({ '0001-a.sql': harmless }), ['0001-a.sql']);
});
